//! Who is asked first for each channel.

use voxanne_messaging::{
    channel::{Channel, Provider},
    model::{BroughtAccount, MessagingModel, Mode, Source, channel_states},
};

#[test]
fn each_channel_says_who_is_asked_first() {
    let brought = [
        BroughtAccount { channel: Channel::Sms, provider: Provider::Termii, is_verified: false },
        BroughtAccount { channel: Channel::Sms, provider: Provider::Twilio, is_verified: true },
        BroughtAccount { channel: Channel::Whatsapp, provider: Provider::Whatsapp, is_verified: false },
    ];
    let ours = |channel| (channel == Channel::Email).then_some(Provider::Resend);
    let states = |mode, fallback_to_platform| {
        let model = MessagingModel { mode, fallback_to_platform };
        channel_states(model, &brought, ours)
            .into_iter()
            .map(|state| (state.first, state.is_verified))
            .collect::<Vec<_>>()
    };
    let (own, platform) = (Source::Organization, Source::Platform);
    assert_eq!(
        states(Mode::CustomerManaged, true),
        [
            (Some((Provider::Twilio, own)), true),
            (Some((Provider::Resend, platform)), true),
            (Some((Provider::Whatsapp, own)), false)
        ]
    );
    assert_eq!(states(Mode::CustomerManaged, false)[1], (None, false));
    let managed = states(Mode::PlatformManaged, false);
    assert_eq!(managed[1], (Some((Provider::Resend, platform)), true));
}
