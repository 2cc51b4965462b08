//! The ways a message can go, each with its price.

use voxanne_kernel::{Money, StoreError, Timestamp, place::Country};

use super::{
    choose::{Choice, candidates, choose},
    ports::{Switchboard, Switchboards},
};
use crate::{
    channel::{Channel, Provider},
    credits::{Prices, least_cost},
    message::{Carrier, Content, NewMessage, Recipient},
    model::Model,
    numbering::country_of,
    providers::{Accounts, Payer, Whose},
    segments::{Segments, termii_pages},
};

/// A way a message can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) carrier: Carrier,
    /// What the organization is charged; `None` when it pays the provider itself.
    pub(super) charge: Option<Money>,
}

/// Everybody who may carry `new`, in the order they are asked. Who would be charged and has no price carries nothing.
pub(super) async fn ways<Tx: Model + Prices + ?Sized>(
    tx: &mut Tx,
    new: &NewMessage,
    board: &Switchboard,
    accounts: &dyn Accounts,
) -> Result<Vec<Way>, StoreError> {
    if let Some(only) = new.through {
        return through(tx, new, board, only).await;
    }
    let country = country(&new.to);
    let units = |provider| units(&new.content, provider);
    all(tx, new.content.channel(), country.as_ref(), &units, board, accounts).await
}

/// Who would be asked first to carry a message of usual length on `channel`, to a country that is not known, as things
/// are now; `None` when nobody can carry one. This is how a message finds its own way.
pub(crate) async fn usual_way<Tx: Switchboards + Model + Prices + ?Sized>(
    tx: &mut Tx,
    channel: Channel,
    accounts: &dyn Accounts,
    now: Timestamp,
) -> Result<Option<UsualWay>, StoreError> {
    let board = tx.switchboard(channel).await?;
    let ways = all(tx, channel, None, &|_| 1, &board, accounts).await?;
    let first = in_order(ways, &board, now).into_iter().next();
    Ok(first.map(|Way { carrier, .. }| {
        let is_verified = match carrier.whose {
            Whose::Platform => true,
            Whose::Organization => {
                board.own.iter().any(|own| own.provider == carrier.provider && own.is_verified)
            }
        };
        UsualWay { carrier, is_verified }
    }))
}

/// Who carries messages on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsualWay {
    /// The account.
    pub(crate) carrier: Carrier,
    /// Whether it is known to work.
    pub(crate) is_verified: bool,
}

/// Who would be asked first now comes first; the others follow as they were.
pub(super) fn in_order(mut ways: Vec<Way>, board: &Switchboard, now: Timestamp) -> Vec<Way> {
    let carriers: Vec<_> = ways.iter().map(|way| way.carrier.clone()).collect();
    if let Choice::Ask(first) = choose(&carriers, &[], board, now)
        && let Some(index) = carriers.iter().position(|carrier| *carrier == first)
    {
        ways[..=index].rotate_right(1);
    }
    ways
}

/// The ways on `channel` of a message to `country` that counts as so many `units` at each provider.
async fn all<Tx: Model + Prices + ?Sized>(
    tx: &mut Tx,
    channel: Channel,
    country: Option<&Country>,
    units: &(dyn Fn(Provider) -> u32 + Sync),
    board: &Switchboard,
    accounts: &dyn Accounts,
) -> Result<Vec<Way>, StoreError> {
    let model = tx.messaging_model().await?;
    let ours = accounts.of_platform(channel);
    let is_ever_charged = |carrier: &Carrier| carrier.payer == Payer::Platform;
    if !candidates(channel, model, board, &ours).iter().any(is_ever_charged) {
        let own = candidates(channel, model, board, &[]).into_iter();
        return Ok(own.map(|carrier| Way { carrier, charge: None }).collect());
    }
    let tariff = tx.tariff(channel, country).await?;
    let counted: Vec<_> = ours.iter().map(|provider| (*provider, units(*provider))).collect();
    let mut ours: Vec<_> = least_cost(&tariff, &counted).into_iter().map(|(provider, _)| provider).collect();
    if let Some(preferred) = accounts.preferred(channel) {
        // The sort is stable: the others stay in the order of their prices.
        ours.sort_by_key(|provider| *provider != preferred);
    }
    let all = candidates(channel, model, board, &ours).into_iter();
    let priced = |carrier: Carrier| match carrier.payer {
        Payer::Customer => Some(Way { carrier, charge: None }),
        Payer::Platform => {
            let charge = tariff.charge(carrier.provider, units(carrier.provider))?;
            Some(Way { carrier, charge: Some(charge) })
        }
    };
    Ok(all.filter_map(priced).collect())
}

/// The one way through the organization's own account at `only`.
async fn through<Tx: Prices + ?Sized>(
    tx: &mut Tx,
    new: &NewMessage,
    board: &Switchboard,
    only: Provider,
) -> Result<Vec<Way>, StoreError> {
    let Some(account) = board.own.iter().find(|account| account.provider == only) else {
        return Ok(Vec::new());
    };
    let carrier = Carrier { provider: only, whose: Whose::Organization, payer: account.payer };
    let charge = match account.payer {
        Payer::Customer => None,
        Payer::Platform => {
            let tariff = tx.tariff(new.content.channel(), country(&new.to).as_ref()).await?;
            let Some(charge) = tariff.charge(only, units(&new.content, only)) else { return Ok(Vec::new()) };
            Some(charge)
        }
    };
    Ok(vec![Way { carrier, charge }])
}

/// What a provider counts a message as.
pub(super) fn units(content: &Content, provider: Provider) -> u32 {
    match content {
        Content::Sms { body } if provider == Provider::Termii => termii_pages(body),
        Content::Sms { body } => Segments::of(body).count,
        Content::Email(_) | Content::WhatsApp(_) => 1,
    }
}

fn country(to: &Recipient) -> Option<Country> {
    match to {
        Recipient::Phone(number) => country_of(number),
        Recipient::Email(_) => None,
    }
}
