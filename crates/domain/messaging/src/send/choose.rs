//! Who carries a message (decision D7): the organization's own accounts by priority, then ours where that is allowed.

use voxanne_kernel::Timestamp;

use super::ports::Switchboard;
use crate::{
    channel::{Channel, Provider},
    message::{Carrier, Tried},
    model::{MessagingModel, Mode},
    providers::{Payer, Whose},
};

/// Who a message can go out through, and who of them is asked next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    Ask(Carrier),
    /// All that are left are being left alone until then.
    Wait(Timestamp),
    /// Nobody is left.
    Nobody,
}

/// Everybody who may carry a message on `channel`, in the order they are asked. `platform` are our own accounts, the
/// cheapest first.
///
/// Texts leave from the organization's own number where it has one, whatever its model says: its contacts know that
/// number. On other channels an organization that leaves messages to us uses an account of its own only where we have
/// none.
pub(crate) fn candidates(
    channel: Channel,
    model: MessagingModel,
    board: &Switchboard,
    platform: &[Provider],
) -> Vec<Carrier> {
    let own = board.own.iter().filter(|account| account.is_asked).map(|account| Carrier {
        provider: account.provider,
        whose: Whose::Organization,
        payer: account.payer,
    });
    let ours = platform.iter().map(|provider| Carrier {
        provider: *provider,
        whose: Whose::Platform,
        payer: Payer::Platform,
    });
    match model.mode {
        Mode::CustomerManaged if model.fallback_to_platform => own.chain(ours).collect(),
        Mode::CustomerManaged => own.collect(),
        Mode::PlatformManaged if channel == Channel::Sms => own.chain(ours).collect(),
        Mode::PlatformManaged if platform.is_empty() => own.collect(),
        Mode::PlatformManaged => ours.collect(),
    }
}

/// Who of `candidates` is asked next: the first who has not refused and is not left alone.
pub(crate) fn choose(candidates: &[Carrier], tried: &[Tried], board: &Switchboard, now: Timestamp) -> Choice {
    let mut until: Option<Timestamp> = None;
    for carrier in candidates.iter().filter(|carrier| !tried.iter().any(|one| one.is(carrier))) {
        match board.health_of(carrier).and_then(|health| health.open_until).filter(|until| *until > now) {
            None => return Choice::Ask(carrier.clone()),
            Some(open) => until = Some(until.map_or(open, |earlier| earlier.min(open))),
        }
    }
    until.map_or(Choice::Nobody, Choice::Wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::ports::{Health, OwnAccount, Standing};

    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn board(own: &[Provider]) -> Switchboard {
        let own = own.iter().map(|provider| OwnAccount {
            provider: *provider,
            payer: Payer::Customer,
            is_asked: true,
            is_verified: true,
        });
        Switchboard { standing: Standing::Active, own: own.collect(), health: Vec::new() }
    }

    fn order(
        channel: Channel,
        mode: Mode,
        fallback: bool,
        own: &[Provider],
        ours: &[Provider],
    ) -> Vec<String> {
        let model = MessagingModel { mode, fallback_to_platform: fallback };
        candidates(channel, model, &board(own), ours)
            .iter()
            .map(|one| format!("{}{}", if one.whose == Whose::Platform { "our " } else { "" }, one.provider))
            .collect()
    }

    #[test]
    fn own_accounts_come_first_and_ours_only_where_that_is_allowed() {
        use Mode::{CustomerManaged as Theirs, PlatformManaged as Ours};
        use Provider::{Mailgun, Resend, Termii, Twilio};
        let check = |channel, mode, fallback, own: &[Provider], ours: &[Provider], expected: &[&str]| {
            assert_eq!(
                order(channel, mode, fallback, own, ours),
                expected,
                "{channel} {mode:?} {own:?} {ours:?}"
            );
        };
        check(Channel::Sms, Theirs, true, &[Termii, Twilio], &[Twilio], &["termii", "twilio", "our twilio"]);
        check(Channel::Sms, Theirs, false, &[Termii], &[Twilio], &["termii"]);
        check(Channel::Sms, Theirs, false, &[], &[Twilio], &[]);
        check(Channel::Sms, Ours, false, &[Termii], &[Twilio], &["termii", "our twilio"]);
        check(Channel::Email, Ours, true, &[Mailgun], &[Resend], &["our resend"]);
        check(Channel::Email, Ours, true, &[Mailgun], &[], &["mailgun"]);
        check(Channel::Email, Theirs, true, &[Mailgun], &[Resend], &["mailgun", "our resend"]);
    }

    #[test]
    fn who_refused_or_is_left_alone_is_passed_over() {
        let model = MessagingModel { mode: Mode::CustomerManaged, fallback_to_platform: true };
        let mut board = board(&[Provider::Termii, Provider::Twilio]);
        let all = candidates(Channel::Sms, model, &board, &[Provider::Twilio]);
        let tried = |index: usize| Tried::new(&all[index], "busy".into(), false, None);
        let health = |index: usize, until| Health {
            provider: all[index].provider,
            whose: all[index].whose,
            failures: 3,
            open_until: Some(later(until)),
            last_code: None,
        };
        assert_eq!(choose(&all, &[], &board, NOON), Choice::Ask(all[0].clone()));
        assert_eq!(choose(&all, &[tried(0)], &board, NOON), Choice::Ask(all[1].clone()));
        board.health = vec![health(0, 60), health(1, 30)];
        assert_eq!(choose(&all, &[], &board, NOON), Choice::Ask(all[2].clone()));
        assert_eq!(choose(&all, &[tried(2)], &board, NOON), Choice::Wait(later(30)));
        assert_eq!(choose(&all, &[tried(2)], &board, later(30)), Choice::Ask(all[1].clone()));
        assert_eq!(choose(&all, &[tried(0), tried(1), tried(2)], &board, NOON), Choice::Nobody);
    }
}
