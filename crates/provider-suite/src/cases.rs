//! The cases. Each begins with a sandbox of its own.

use std::{collections::BTreeSet, time::Duration};

use voxanne_messaging::providers::{
    Accepted, DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, Found, ProviderEvent, SendFailure,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::{
    outcome::{Outcome, shown},
    sender::{Draft, Sender},
    wire::{Fault, Searching, Signature, Wire},
    world::{World, ready},
};

/// What messages say: in no error, and outside ASCII.
const TEXT: &str = "MARKED-w0rds: see you at 10:00, Zoë";

fn draft(wire: &dyn Wire, world: &World) -> Draft {
    Draft::new(wire.recipient(), TEXT, Some(world.webhook()))
}

/// Sends, and holds whatever comes back to showing neither a secret nor the message nor its recipient.
async fn send(wire: &dyn Wire, sender: &Sender, draft: &Draft) -> Result<Accepted, SendFailure> {
    let sent = sender.send(draft).await;
    if let Err(failure) = &sent {
        let shown = shown(failure);
        let digits = draft.to.trim_start_matches('+');
        for hidden in wire.secrets().into_iter().chain([draft.text.as_str(), digits]) {
            assert!(hidden.is_empty() || !shown.contains(hidden), "{hidden} is in {shown}");
        }
    }
    sent
}

/// A message is taken, once, and the provider's name for it is known.
pub async fn a_message_is_taken_once_and_named(wire: &dyn Wire) {
    let world = World::start(wire).await;
    let sender = wire.sender(&world.base(wire));
    let accepted = send(wire, &sender, &draft(wire, &world)).await.unwrap();
    let external_id = accepted.external_id.expect("an id by which events name it");
    assert_eq!(world.held(wire).await, std::slice::from_ref(&external_id));
    // The same words to the same person are another message.
    let second = send(wire, &sender, &draft(wire, &world)).await.unwrap();
    assert_ne!(second.external_id.as_ref(), Some(&external_id));
    assert_eq!(world.held(wire).await.len(), 2);
}

/// What the provider refuses is refused in our words, and nothing was taken.
pub async fn every_refusal_means_what_it_means(wire: &dyn Wire) {
    for refusal in wire.refusals() {
        let world = World::start(wire).await;
        for control in &refusal.arrange {
            world.control(control).await;
        }
        let mut draft = draft(wire, &world);
        (refusal.change)(&mut draft);
        let base = world.base(wire);
        let sender = refusal.sender.as_ref().map_or_else(|| wire.sender(&base), |sender| sender(&base));
        let before = world.held(wire).await.len();
        let sent = send(wire, &sender, &draft).await;
        assert_eq!(Outcome::of(&sent), refusal.outcome, "{}: {sent:?}", refusal.name);
        assert_eq!(world.held(wire).await.len(), before, "{}", refusal.name);
    }
}

/// A limit is no refusal: the same message goes out later, when the provider says so.
pub async fn whoever_is_throttled_waits_and_sent_nothing(wire: &dyn Wire) {
    let world = World::start(wire).await;
    let Some(fault) = wire.fault(Fault::Throttled) else { return };
    world.control(&fault).await;
    let (sender, draft) = (wire.sender(&world.base(wire)), draft(wire, &world));
    let sent = send(wire, &sender, &draft).await;
    let Err(SendFailure::Later { after, .. }) = &sent else { panic!("{sent:?}") };
    assert!(after.is_none_or(|after| after == Duration::from_secs(7)), "{after:?}");
    assert!(world.held(wire).await.is_empty());
    send(wire, &sender, &draft).await.unwrap();
    assert_eq!(world.held(wire).await.len(), 1);
}

/// What could not be reached took nothing.
pub async fn a_provider_that_is_not_there_took_nothing(wire: &dyn Wire) {
    ready();
    let sender = wire.sender("http://127.0.0.1:9");
    let sent = send(wire, &sender, &Draft::new(wire.recipient(), TEXT, None)).await;
    assert_eq!(Outcome::of(&sent), Outcome::Later, "{sent:?}");
}

/// From outside nobody can tell that it was lost on the way there.
pub async fn what_was_lost_before_it_was_taken_is_unknown(wire: &dyn Wire) {
    for fault in [Fault::Timeout, Fault::Reset, Fault::ServerError, Fault::Malformed] {
        let world = World::start(wire).await;
        let since = world.now().await;
        let Some(control) = wire.fault(fault) else { continue };
        world.control(&control).await;
        let (sender, draft) = (wire.sender(&world.base(wire)), draft(wire, &world));
        let sent = send(wire, &sender, &draft).await;
        assert_eq!(Outcome::of(&sent), Outcome::Unknown, "{fault:?}: {sent:?}");
        assert!(world.held(wire).await.is_empty(), "{fault:?}");
        let found = sender.look_up(&draft, since, &[]).await.unwrap();
        match wire.searching() {
            Searching::Finds => assert_eq!(found, Found::No, "{fault:?}"),
            Searching::CannotTell => assert_eq!(found, Found::CannotTell, "{fault:?}"),
            Searching::Repeats => assert!(sender.is_repeatable()),
        }
    }
}

/// Here it was taken: whoever can look, finds it; whoever may repeat, repeats; and there is one of it.
pub async fn what_was_lost_after_it_was_taken_is_unknown_and_looked_for(wire: &dyn Wire) {
    let world = World::start(wire).await;
    let since = world.now().await;
    let Some(control) = wire.fault(Fault::CommitThenDrop) else { return };
    let sender = wire.sender(&world.base(wire));
    // Another message to the same person, which is not the one that is sought.
    let mut other = draft(wire, &world);
    "Something else".clone_into(&mut other.text);
    if wire.searching() != Searching::Finds {
        TEXT.clone_into(&mut other.text);
    }
    send(wire, &sender, &other).await.unwrap();
    world.control(&control).await;
    let draft = draft(wire, &world);
    let sent = send(wire, &sender, &draft).await;
    assert_eq!(Outcome::of(&sent), Outcome::Unknown, "{sent:?}");
    let held = world.held(wire).await;
    assert_eq!(held.len(), 2);
    match wire.searching() {
        Searching::Finds => {
            let found = sender.look_up(&draft, since, &[]).await.unwrap();
            let Found::Yes(Accepted { external_id, .. }) = &found else { panic!("{found:?}") };
            assert_eq!(external_id.as_ref(), Some(&held[1]));
        }
        Searching::CannotTell => {
            assert_eq!(sender.look_up(&draft, since, &[]).await.unwrap(), Found::CannotTell);
        }
        Searching::Repeats => {
            assert!(sender.is_repeatable());
            let repeated = send(wire, &sender, &draft).await.unwrap();
            assert_eq!(repeated.external_id.as_ref(), Some(&held[1]));
            assert_eq!(world.held(wire).await, held);
        }
    }
}

/// The same words to the same person, once taken and once lost on the way there: what is known to be the one is not taken
/// for the other, and of two that were taken each is found.
pub async fn what_is_another_message_is_not_taken_for_the_lost_one(wire: &dyn Wire) {
    if wire.searching() != Searching::Finds {
        return;
    }
    let world = World::start(wire).await;
    let since = world.now().await;
    let sender = wire.sender(&world.base(wire));
    let first = send(wire, &sender, &draft(wire, &world)).await.unwrap().external_id.unwrap();
    if let Some(control) = wire.fault(Fault::Reset) {
        world.control(&control).await;
        let lost = draft(wire, &world);
        let sent = send(wire, &sender, &lost).await;
        assert_eq!(Outcome::of(&sent), Outcome::Unknown, "{sent:?}");
        let found = sender.look_up(&lost, since, std::slice::from_ref(&first)).await.unwrap();
        assert_eq!(found, Found::No);
    }
    let Some(control) = wire.fault(Fault::CommitThenDrop) else { return };
    world.control(&control).await;
    let taken = draft(wire, &world);
    let sent = send(wire, &sender, &taken).await;
    assert_eq!(Outcome::of(&sent), Outcome::Unknown, "{sent:?}");
    let held = world.held(wire).await;
    let [_, second] = held.as_slice() else { panic!("{held:?}") };
    let found = sender.look_up(&taken, since, std::slice::from_ref(&first)).await.unwrap();
    let Found::Yes(Accepted { external_id, .. }) = &found else { panic!("{found:?}") };
    assert_eq!(external_id.as_ref(), Some(second));
}

/// A success that says nothing may have been one.
pub async fn answers_that_make_no_sense_are_unknown(wire: &dyn Wire) {
    if wire.answers().is_empty() {
        return;
    }
    for body in wire.nonsense() {
        let (server, sender) = saying(wire, wire.success(), &[], &body).await;
        let sent = send(wire, &sender, &Draft::new(wire.recipient(), TEXT, None)).await;
        assert_eq!(Outcome::of(&sent), Outcome::Unknown, "{body:?}: {sent:?}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{body:?}: sent once");
    }
}

/// One answer at a time, the successes that are failures among them.
pub async fn every_answer_means_what_it_means(wire: &dyn Wire) {
    for answer in wire.answers() {
        let (server, sender) = saying(wire, answer.status, &answer.headers, &answer.body).await;
        let sent = send(wire, &sender, &Draft::new(wire.recipient(), TEXT, None)).await;
        assert_eq!(Outcome::of(&sent), answer.outcome, "{answer:?}: {sent:?}");
        if let Ok(accepted) = sent {
            assert_eq!(accepted.external_id.as_deref(), answer.external_id, "{answer:?}");
        }
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{answer:?}: sent once");
    }
}

async fn saying(
    wire: &dyn Wire,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> (MockServer, Sender) {
    ready();
    let server = MockServer::start().await;
    let answer = headers
        .iter()
        .fold(ResponseTemplate::new(status), |answer, (name, value)| answer.insert_header(*name, *value));
    Mock::given(any()).respond_with(answer.set_body_string(body)).mount(&server).await;
    let sender = wire.sender(&server.uri());
    (server, sender)
}

/// Events tell the same whatever came before them; one that comes twice is recognized as the same.
pub async fn events_count_in_any_order_and_once(wire: &dyn Wire) {
    let world = World::start(wire).await;
    let sender = wire.sender(&world.base(wire));
    let draft = draft(wire, &world);
    let external_id = send(wire, &sender, &draft).await.unwrap().external_id.unwrap();
    let reader = wire.reader();
    let mut seen = BTreeSet::new();
    for (number, event) in wire.events().into_iter().rev().enumerate() {
        world.control(&wire.tell(&external_id, event.name, 2, Signature::Valid)).await;
        let requests = world.delivered().await;
        assert_eq!(requests.len(), 2 * (number + 1), "{}", event.name);
        let mut ids = BTreeSet::new();
        for request in &requests[2 * number..] {
            let told = only(&reader.read(request).await.unwrap());
            assert_eq!(told.fate, event.fate, "{}", event.name);
            if wire.repeats_our_id() {
                assert_eq!(told.message, Some(draft.id), "{}", event.name);
            }
            assert_eq!(told.external_id.as_ref(), Some(&external_id), "{}", event.name);
            ids.insert(told.id);
        }
        assert_eq!(ids.len(), 1, "{}: the same event has the same id", event.name);
        assert!(seen.insert(ids), "{}: another event has another", event.name);
    }
}

/// The only delivery event of a batch.
fn only(batch: &EventBatch) -> DeliveryEvent {
    match batch.events.as_slice() {
        [ProviderEvent::Delivery(event)] => event.clone(),
        other => panic!("{other:?}, and {} unreadable", batch.unreadable),
    }
}

/// Forged, unsigned, changed on the way, or signed for somebody else.
pub async fn what_is_not_signed_by_the_provider_is_refused(wire: &dyn Wire) {
    let Some(another) = wire.reader_of_another() else { return };
    let world = World::start(wire).await;
    let sender = wire.sender(&world.base(wire));
    let external_id = send(wire, &sender, &draft(wire, &world)).await.unwrap().external_id.unwrap();
    let event = *wire.events().last().unwrap();
    for signature in [Signature::Forged, Signature::Missing, Signature::Valid] {
        world.control(&wire.tell(&external_id, event.name, 1, signature)).await;
    }
    let requests = world.delivered().await;
    let [forged, missing, valid] = requests.as_slice() else { panic!("{}", requests.len()) };
    let reader = wire.reader();
    for request in [forged, missing] {
        let refused = reader.read(request).await;
        assert!(matches!(refused, Err(EventRefusal::Signature)), "{refused:?}");
    }
    reader.read(valid).await.unwrap();
    let refused = another.read(valid).await;
    assert!(matches!(refused, Err(EventRefusal::Signature | EventRefusal::Foreign)), "{refused:?}");
    if wire.signs_the_body() {
        let middle = valid.body.len() / 2;
        let mut changed = valid.clone();
        changed.body[middle] ^= 1;
        let refused = reader.read(&changed).await;
        assert!(matches!(refused, Err(EventRefusal::Signature | EventRefusal::Foreign)), "{refused:?}");
        let mut longer = valid.clone();
        longer.body.extend_from_slice(b"&x=y");
        assert!(reader.read(&longer).await.is_err());
    }
}

/// A message that is nobody's is named as such; an event that is new says nothing.
pub async fn what_nobody_knows_changes_nothing(wire: &dyn Wire) {
    let world = World::start(wire).await;
    let sender = wire.sender(&world.base(wire));
    let external_id = send(wire, &sender, &draft(wire, &world)).await.unwrap().external_id.unwrap();
    let event = *wire.events().last().unwrap();
    world.control(&wire.tell(wire.stranger(), event.name, 1, Signature::Valid)).await;
    world.control(&wire.tell(&external_id, wire.unknown_event(), 1, Signature::Valid)).await;
    let requests = world.delivered().await;
    let [stranger, unknown] = requests.as_slice() else { panic!("{}", requests.len()) };
    let reader = wire.reader();
    let told = only(&reader.read(stranger).await.unwrap());
    assert_eq!(told.external_id.as_deref(), Some(wire.stranger()));
    assert_eq!(told.message, None);
    let batch = reader.read(unknown).await.unwrap();
    for event in &batch.events {
        let says_nothing =
            matches!(event, ProviderEvent::Delivery(DeliveryEvent { fate: Fate::Nothing, .. }));
        assert!(says_nothing, "{event:?}");
    }
}

/// Whatever is posted to a webhook is refused or read, and nothing else happens.
pub async fn nonsense_is_refused_and_nothing_more(wire: &dyn Wire) {
    let world = World::start(wire).await;
    let reader = wire.reader();
    let received_at = world.now().await;
    let deep = vec![b'['; 100_000];
    let bodies: [&[u8]; 8] =
        [b"", b"{", b"[]", b"null", b"\xff\xfe\0", b"a=b&a=c", b"{\"entry\":[17]}", &deep];
    for body in bodies {
        let request = EventRequest {
            url: world.webhook().to_string(),
            headers: Vec::new(),
            body: body.to_vec(),
            received_at,
        };
        if let Ok(batch) = reader.read(&request).await {
            assert!(batch.events.is_empty(), "{batch:?}");
            assert!(wire.reader_of_another().is_none(), "what is unsigned was believed");
        }
    }
}
