//! What is done with calls, on the store in memory: recordings, links, calls that are placed, hot leads.
#![expect(clippy::disallowed_methods, reason = "a test vouches for the organizations it makes up")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::SignedDuration;
use voxanne_calls::{
    ApplyCallEvent, ApplyCallEventJob, CallEvent, Contact, Direction, FollowUp, FollowUpError, FollowUpText,
    Happened, NotSent, ProviderCallId, RawAnalysis, RawReport, RawTurn, ReceiveCallEvent, Speaker,
    call_back::{
        CallBack, CallBackError, CallPlacer, LineBook, LineFigures, LineRefusal, LineRule, OutboundCall,
        Placed, Placing, SettleCallBack, Standing,
    },
    recordings::{
        AudioKey, AudioStream, Download, EraseRecordings, FetchError, FetchRecording, FetchRecordingJob,
        Fetched, Interrupted, LinkError, Listen, OpenError, RecordingProvider, RecordingSource,
        RecordingState, Whence,
    },
    sharing::{LinkSecret, LinkVault, RevealLink, ShareError, ShareRecording, Unsealed, marker},
    testing::{BotoxOnly, MemoryCalls, MemoryFiles, Sent},
};
use voxanne_kernel::{
    Actor, Job, ManualClock, OrgScope, ProviderError, StoreError, Timestamp,
    ids::{CallId, ContactId, OrgId, RecordingId, RecordingShareId},
};

const NOW: &str = "2026-11-18T15:00:00Z";
const WAVE: &[u8] = b"RIFF\x24\x00\x00\x00WAVEfmt and so on";

/// How a place answers.
#[derive(Clone)]
enum Answer {
    Gives(&'static str, Vec<&'static [u8]>),
    /// Gives this much, then breaks.
    Breaks(&'static [u8]),
    Says(u64),
    NotAllowed,
    Missing,
    Unavailable,
}

#[derive(Default)]
struct Provider(Mutex<HashMap<String, Answer>>, Mutex<Vec<String>>);

struct Parts(VecDeque<Bytes>, bool);

#[async_trait]
impl AudioStream for Parts {
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        match self.0.pop_front() {
            None if self.1 => Err(Interrupted::Broken("cut".into())),
            next => Ok(next),
        }
    }
}

impl Provider {
    fn answer(&self, place: &str, answer: Answer) {
        self.0.lock().unwrap().insert(place.to_owned(), answer);
    }
}

#[async_trait]
impl RecordingProvider for Provider {
    async fn open(&self, whence: Whence<'_>) -> Result<Download, OpenError> {
        let place = match whence {
            Whence::Address(source) => source.as_str().to_owned(),
            Whence::Provider(call) => call.as_str().to_owned(),
        };
        self.1.lock().unwrap().push(place.clone());
        let answer = self.0.lock().unwrap().get(&place).cloned().unwrap_or(Answer::Missing);
        let (declared, length, parts, breaks) = match answer {
            Answer::Gives(declared, parts) => (declared, None, parts, false),
            Answer::Breaks(part) => ("audio/wav", None, vec![part], true),
            Answer::Says(length) => ("audio/wav", Some(length), vec![WAVE], false),
            Answer::NotAllowed => return Err(OpenError::NotAllowed),
            Answer::Missing => return Err(OpenError::Missing("404".into())),
            Answer::Unavailable => return Err(OpenError::Unavailable("503".into())),
        };
        let parts = Parts(parts.into_iter().map(Bytes::from_static).collect(), breaks);
        Ok(Download { declared: Some(declared.to_owned()), length, body: Box::new(parts) })
    }
}

struct World {
    store: MemoryCalls,
    files: MemoryFiles,
    provider: Arc<Provider>,
    clock: Arc<ManualClock>,
    scope: OrgScope,
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn report(sources: &[&str], said: &str) -> CallEvent {
    let raw = RawReport {
        started_at: now() - SignedDuration::from_secs(100),
        ended_at: now(),
        ended_reason: Some("customer-ended-call".to_owned()),
        duration_seconds: None,
        cost_micros: None,
        turns: vec![RawTurn { speaker: Speaker::Caller, text: said.to_owned(), at_ms: Some(2_000) }],
        summary: None,
        analysis: RawAnalysis::default(),
        transfer: None,
        has_recording: !sources.is_empty(),
        recording_sources: sources.iter().filter_map(|source| RecordingSource::new(source)).collect(),
    };
    CallEvent {
        call: ProviderCallId::new("019c-call").unwrap(),
        ours: None,
        assistant: None,
        direction: Direction::Inbound,
        phone: Some("+15005550009".parse().unwrap()),
        name: None,
        at: now(),
        what: Happened::Reported { report: Box::new(raw.redacted(&[])) },
    }
}

impl World {
    fn new() -> Self {
        Self {
            store: MemoryCalls::default(),
            files: MemoryFiles::default(),
            provider: Arc::default(),
            clock: Arc::new(ManualClock::at(now())),
            scope: OrgScope::vouch(OrgId::generate(), Actor::System),
        }
    }

    /// Works an event in; gives the jobs that this made.
    async fn tell(&self, event: CallEvent) -> Vec<voxanne_kernel::NewJob> {
        let store = Arc::new(self.store.clone());
        ReceiveCallEvent::new(store.clone()).run(&self.scope, event).await.unwrap();
        let jobs = self.store.rows(self.scope.org()).jobs;
        let job = jobs.iter().rfind(|job| job.task == ApplyCallEventJob::TASK).unwrap();
        let job: ApplyCallEventJob = serde_json::from_value(job.payload.clone()).unwrap();
        let apply = ApplyCallEvent::new(store, Arc::new(BotoxOnly), self.clock.clone());
        apply.run(&self.scope, job.event_id).await.unwrap();
        self.store.rows(self.scope.org()).jobs.split_off(jobs.len())
    }

    /// A reported call with a recording at these places.
    async fn recorded(&self, sources: &[&str]) -> RecordingId {
        let jobs = self.tell(report(sources, "Hello")).await;
        assert_eq!(jobs.iter().map(|job| job.task).collect::<Vec<_>>(), [FetchRecordingJob::TASK]);
        let job: FetchRecordingJob = serde_json::from_value(jobs[0].payload.clone()).unwrap();
        job.recording_id
    }

    fn fetch(&self) -> FetchRecording {
        let (store, files) = (Arc::new(self.store.clone()), Arc::new(self.files.clone()));
        FetchRecording::new(store, self.provider.clone(), files, self.clock.clone())
    }

    async fn completed(&self) -> RecordingId {
        self.provider.answer("https://a", Answer::Gives("audio/wav", vec![WAVE]));
        let id = self.recorded(&["https://a"]).await;
        assert!(matches!(self.fetch().run(&self.scope, id).await.unwrap(), Fetched::Completed(_)));
        id
    }

    fn state(&self, id: RecordingId) -> RecordingState {
        let all = self.store.rows(self.scope.org()).actions.recordings;
        all.into_iter().find(|recording| recording.id == id).unwrap().state
    }

    fn key(&self, recording: RecordingId) -> AudioKey {
        AudioKey { org: self.scope.org(), recording }
    }

    fn call(&self) -> CallId {
        self.store.rows(self.scope.org()).calls[0].id
    }

    fn sharing(&self) -> ShareRecording {
        let store = Arc::new(self.store.clone());
        ShareRecording::new(store.clone(), store, Arc::new(Plain), self.clock.clone())
    }

    fn listen(&self) -> Listen {
        let store = Arc::new(self.store.clone());
        Listen::new(store.clone(), store, Arc::new(self.files.clone()), self.clock.clone())
    }
}

#[tokio::test]
async fn a_recording_is_fetched_from_the_first_place_that_has_it() {
    let w = World::new();
    w.provider.answer("https://b", Answer::Gives("application/octet-stream", vec![&WAVE[..5], &WAVE[5..]]));
    let id = w.recorded(&["https://a", "https://b", "https://c"]).await;
    assert!(matches!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Completed(kept)
        if kept.size == 25 && kept.kind.media_type() == "audio/wav"));
    assert_eq!(w.files.at(&w.key(id)).unwrap(), WAVE);
    assert_eq!(*w.provider.1.lock().unwrap(), ["https://a", "https://b"]);
    // Nothing is left of where it was, and nothing happens twice.
    assert!(w.store.rows(w.scope.org()).actions.recordings[0].sources.is_empty());
    assert_eq!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Settled);
    // A second report of the call brings no second recording.
    assert!(
        w.tell(CallEvent { at: now() - SignedDuration::from_secs(1), ..report(&["https://z"], "x") })
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn the_provider_itself_is_asked_last() {
    let w = World::new();
    w.provider.answer("019c-call", Answer::Gives("audio/wav", vec![WAVE]));
    let id = w.recorded(&["https://a"]).await;
    assert!(matches!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Completed(_)));
}

#[tokio::test]
async fn what_may_come_later_is_tried_again_and_leaves_nothing() {
    for answer in [Answer::Unavailable, Answer::Missing, Answer::Breaks(WAVE), Answer::Breaks(b"")] {
        let w = World::new();
        w.provider.answer("https://a", answer);
        let id = w.recorded(&["https://a"]).await;
        assert!(matches!(w.fetch().run(&w.scope, id).await, Err(FetchError::Provider(_))));
        assert_eq!((w.state(id), w.files.count()), (RecordingState::Processing, 0));
        w.provider.answer("https://a", Answer::Gives("audio/wav", vec![WAVE]));
        assert!(matches!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Completed(_)));
    }
}

#[tokio::test]
async fn what_stays_missing_is_given_up() {
    let w = World::new();
    let id = w.recorded(&["https://a"]).await;
    for _ in 0..5 {
        assert!(w.fetch().run(&w.scope, id).await.is_err());
    }
    assert_eq!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Failed("not_found"));
    w.provider.answer("https://a", Answer::Gives("audio/wav", vec![WAVE]));
    assert_eq!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Settled);
}

#[tokio::test]
async fn what_must_not_be_kept_fails_at_once() {
    for (answer, why) in [
        (Answer::NotAllowed, "host_not_allowed"),
        (Answer::Gives("text/html", vec![b"<html>"]), "not_audio"),
        (Answer::Gives("audio/wav", vec![b"{\"error\": 1}"]), "not_audio"),
        (Answer::Gives("audio/wav", vec![]), "not_audio"),
        (Answer::Says(FetchRecording::LONGEST + 1), "too_large"),
    ] {
        let w = World::new();
        w.provider.answer("https://a", answer);
        let id = w.recorded(&["https://a"]).await;
        assert_eq!(w.fetch().run(&w.scope, id).await.unwrap(), Fetched::Failed(why));
        assert_eq!(w.state(id), RecordingState::Failed(why.to_owned()));
        assert_eq!(w.files.count(), 0);
    }
}

#[tokio::test]
async fn a_recording_that_is_forgotten_meanwhile_leaves_no_file() {
    let w = World::new();
    w.completed().await;
    let erase = EraseRecordings::new(Arc::new(w.store.clone()), Arc::new(w.files.clone()));
    assert!(erase.of_call(&w.scope, w.call()).await.unwrap());
    assert!(!erase.of_call(&w.scope, w.call()).await.unwrap());
    let job = w.store.rows(w.scope.org()).jobs.pop().unwrap();
    assert_eq!(job.task, "erase_recording_file");
    let id = serde_json::from_value(job.payload["recording_id"].clone()).unwrap();
    erase.file(&w.scope, id).await.unwrap();
    assert_eq!(w.files.count(), 0);
}

/// Seals nothing.
struct Plain;

impl LinkVault for Plain {
    fn seal(&self, _: OrgId, _: RecordingShareId, secret: &LinkSecret) -> Vec<u8> {
        secret.as_bytes().to_vec()
    }

    fn open(&self, _: OrgId, _: RecordingShareId, sealed: &[u8]) -> Result<LinkSecret, Unsealed> {
        LinkSecret::from_bytes(sealed).ok_or(Unsealed)
    }
}

#[tokio::test]
async fn a_link_opens_for_a_day_unless_it_is_taken_back() {
    let w = World::new();
    w.completed().await;
    let shared = w.sharing().run(&w.scope, w.call(), "a@b.example".parse().unwrap()).await.unwrap();
    let rows = w.store.rows(w.scope.org());
    let (message, Sent::Letter(letter)) = &rows.actions.sent[0] else { panic!("a letter") };
    let html = &letter.html;
    assert!(letter.text.contains(&marker(shared.id)) && html.contains(&marker(shared.id)), "{html}");
    assert_eq!(rows.audit.last().unwrap().action, "call.recording_shared");

    // The link is written into this message and no other.
    let reveal = RevealLink::new(Arc::new(w.store.clone()), Arc::new(Plain), "https://api.example");
    let other = voxanne_kernel::ids::MessageId::generate();
    assert_eq!(reveal.link(&w.scope, shared.id, other).await.unwrap(), None);
    let link = reveal.link(&w.scope, shared.id, *message).await.unwrap().unwrap();
    let token = link.strip_prefix("https://api.example/api/recordings/").unwrap().to_owned();
    assert!(!letter.text.contains(&token) && !format!("{rows:?}").contains(&token));

    let audio = w.listen().by_link(&token).await.unwrap();
    let mut part = w.listen().read(&audio, 0..4).await.unwrap().unwrap();
    assert_eq!(part.next().await.unwrap().unwrap(), "RIFF");
    for wrong in ["", "x", &LinkSecret::generate().encode(), &shared.id.to_string()] {
        assert!(matches!(w.listen().by_link(wrong).await, Err(LinkError::Unknown)), "{wrong}");
    }
    w.clock.advance(SignedDuration::from_secs(24 * 3_600 - 1));
    assert!(w.listen().by_link(&token).await.is_ok());
    w.clock.advance(SignedDuration::from_secs(1));
    assert!(matches!(w.listen().by_link(&token).await, Err(LinkError::Gone)));
    w.clock.advance(SignedDuration::from_hours(-2));
    w.sharing().revoke(&w.scope, w.call(), shared.id).await.unwrap();
    w.sharing().revoke(&w.scope, w.call(), shared.id).await.unwrap();
    assert!(matches!(w.listen().by_link(&token).await, Err(LinkError::Gone)));
    let revoked = w.store.rows(w.scope.org()).audit;
    assert_eq!(revoked.iter().filter(|entry| entry.action == "call.recording_share_revoked").count(), 1);
}

#[tokio::test]
async fn only_a_completed_recording_is_shared() {
    let w = World::new();
    let email = || "a@b.example".parse().unwrap();
    assert!(matches!(
        w.sharing().run(&w.scope, CallId::generate(), email()).await,
        Err(ShareError::NotFound)
    ));
    w.recorded(&["https://a"]).await;
    assert!(matches!(w.sharing().run(&w.scope, w.call(), email()).await, Err(ShareError::NotReady)));
    assert!(w.store.rows(w.scope.org()).actions.sent.is_empty());
}

#[tokio::test]
async fn a_call_is_followed_up_unless_the_caller_opted_out() {
    let w = World::new();
    w.tell(report(&[], "Hello")).await;
    let follow_up = FollowUp::new(Arc::new(w.store.clone()));
    let text = FollowUpText::new("Thanks for calling").unwrap();
    let sent = follow_up.run(&w.scope, w.call(), &text).await.unwrap();
    assert_eq!(sent.phone.as_str(), "+15005550009");
    assert_eq!(w.store.rows(w.scope.org()).audit.last().unwrap().action, "call.followed_up");
    w.store.change(w.scope.org(), |rows| rows.actions.opted_out.push(sent.phone.clone()));
    let refused = follow_up.run(&w.scope, w.call(), &text).await;
    assert!(matches!(refused, Err(FollowUpError::NotSent(NotSent::OptedOut))));
    assert_eq!(w.store.rows(w.scope.org()).audit.len(), 1);
}

#[tokio::test]
async fn a_hot_lead_is_told_once_where_somebody_wants_to_know() {
    let hot = |at: i64| CallEvent {
        at: now() - SignedDuration::from_secs(at),
        ..report(
            &[],
            "I want botox, how much is it? It is urgent, as soon as possible please, thanks so much, great!",
        )
    };
    let w = World::new();
    w.store.book(w.scope.org(), &hot(0).call);
    w.tell(hot(0)).await;
    assert!(w.store.rows(w.scope.org()).calls[0].lead_score().unwrap().get() >= 70);
    assert!(w.store.rows(w.scope.org()).actions.sent.is_empty(), "nobody wants to know");

    let w = World::new();
    w.store.book(w.scope.org(), &hot(0).call);
    w.store.change(w.scope.org(), |rows| rows.actions.alert_phone = Some("+15005550001".parse().unwrap()));
    w.tell(hot(0)).await;
    w.tell(hot(5)).await;
    let sent = w.store.rows(w.scope.org()).actions.sent;
    assert_eq!(sent.len(), 1);
    let Sent::Text(text) = &sent[0].1 else { panic!("a text") };
    assert_eq!(text.to.as_str(), "+15005550001");
    assert!(text.body.contains("+15005550009") && text.body.len() <= 160, "{}", text.body);
}

/// Lines without end, or none.
struct Lines(Result<(), LineRefusal>, AtomicU32);

#[async_trait]
impl LineBook for Lines {
    async fn take(
        &self,
        _: OrgId,
        _: CallId,
        _: LineRule,
        _: Duration,
    ) -> Result<Result<(), LineRefusal>, StoreError> {
        if self.0.is_ok() {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        Ok(self.0)
    }

    async fn give_back(&self, _: OrgId, _: CallId) -> Result<(), StoreError> {
        self.1.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    async fn figures(&self) -> Result<LineFigures, StoreError> {
        Ok(LineFigures::default())
    }
}

/// How the provider of calls answers, and what it holds.
#[derive(Default)]
struct Phone {
    answers: Mutex<VecDeque<&'static str>>,
    placed: Mutex<Vec<OutboundCall>>,
    is_searchable: Mutex<bool>,
}

fn lost() -> ProviderError {
    ProviderError::Unclear("lost".into())
}

fn id_of(call: &OutboundCall) -> ProviderCallId {
    ProviderCallId::new(&format!("vapi-{}", call.call)).unwrap()
}

#[async_trait]
impl CallPlacer for Phone {
    async fn place(&self, call: &OutboundCall) -> Result<Placed, ProviderError> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or("yes");
        if matches!(answer, "yes" | "lost after" | "no line") {
            self.placed.lock().unwrap().push(call.clone());
        }
        match answer {
            "yes" => Ok(Placed::Yes(id_of(call))),
            "no line" => Ok(Placed::NoLine(id_of(call))),
            "down" => Err(ProviderError::RetryLater { after: None, source: "503".into() }),
            "refused" => Err(ProviderError::Refused("400".into())),
            _ => Err(lost()),
        }
    }

    async fn find(
        &self,
        _: &str,
        call: CallId,
        _: Timestamp,
    ) -> Result<Option<ProviderCallId>, ProviderError> {
        if !*self.is_searchable.lock().unwrap() {
            return Err(lost());
        }
        Ok(self.placed.lock().unwrap().iter().find(|placed| placed.call == call).map(id_of))
    }
}

struct Office {
    w: World,
    phone: Arc<Phone>,
    lines: Arc<Lines>,
    call_back: CallBack,
    settle: SettleCallBack,
    contact: ContactId,
}

fn office(lines: Result<(), LineRefusal>, answers: &[&'static str]) -> Office {
    let w = World::new();
    let contact = ContactId::generate();
    let phone = "+15005550009".parse().unwrap();
    w.store.change(w.scope.org(), |rows| rows.contacts.push(Contact::unknown(contact, phone, now())));
    let phone = Arc::new(Phone {
        answers: Mutex::new(answers.iter().copied().collect()),
        is_searchable: Mutex::new(true),
        ..Phone::default()
    });
    let lines = Arc::new(Lines(lines, AtomicU32::new(0)));
    let (store, rule) = (Arc::new(w.store.clone()), LineRule { concurrency: 10 });
    Office {
        call_back: CallBack::new(store.clone(), lines.clone(), phone.clone(), rule, w.clock.clone()),
        settle: SettleCallBack::new(store, phone.clone(), w.clock.clone()),
        w,
        phone,
        lines,
        contact,
    }
}

impl Office {
    fn placing(&self) -> Placing {
        self.w.store.rows(self.w.scope.org()).actions.call_backs.last().unwrap().placing.clone()
    }
}

#[tokio::test]
async fn a_contact_is_called_once_in_a_minute() {
    let o = office(Ok(()), &[]);
    let first = o.call_back.run(&o.w.scope, o.contact).await.unwrap();
    assert_eq!(o.call_back.run(&o.w.scope, o.contact).await.unwrap(), first);
    o.w.clock.advance(SignedDuration::from_secs(59));
    assert_eq!(o.call_back.run(&o.w.scope, o.contact).await.unwrap(), first);
    assert_eq!(o.phone.placed.lock().unwrap().len(), 1);
    o.w.clock.advance(SignedDuration::from_secs(2));
    assert_ne!(o.call_back.run(&o.w.scope, o.contact).await.unwrap().call, first.call);
    assert_eq!(o.lines.1.load(Ordering::SeqCst), 0, "lines are given back");
    let rows = o.w.store.rows(o.w.scope.org());
    assert_eq!((rows.audit.len(), rows.jobs.len()), (2, 2));
    assert_eq!(rows.audit[0].action, "contact.called_back");
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_nobody_is_called_twice() {
    let o = office(Ok(()), &["lost after"]);
    let called = o.call_back.run(&o.w.scope, o.contact).await.unwrap();
    assert_eq!(o.placing(), Placing::Placed(called.provider));
    assert_eq!(o.phone.placed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_provider_does_not_place_has_failed_and_may_be_asked_for_again() {
    for answer in ["down", "refused", "lost before"] {
        let o = office(Ok(()), &[answer]);
        let failed = o.call_back.run(&o.w.scope, o.contact).await;
        assert!(matches!(failed, Err(CallBackError::Failed(Some(_)))), "{answer}");
        assert_eq!(o.placing(), Placing::NotPlaced);
        assert!(o.call_back.run(&o.w.scope, o.contact).await.is_ok());
    }
}

#[tokio::test]
async fn what_stays_unclear_is_found_out_by_the_job() {
    for (answer, was_placed) in [("lost after", true), ("lost before", false)] {
        let o = office(Ok(()), &[answer]);
        *o.phone.is_searchable.lock().unwrap() = false;
        let unclear = o.call_back.run(&o.w.scope, o.contact).await;
        assert!(matches!(unclear, Err(CallBackError::Unclear(Some(_)))), "{answer}");
        // Asking again does not call again.
        let again = o.call_back.run(&o.w.scope, o.contact).await;
        assert!(matches!(again, Err(CallBackError::Unclear(None))), "{answer}");
        let call = o.w.store.rows(o.w.scope.org()).actions.call_backs[0].call;
        assert!(o.settle.run(&o.w.scope, call).await.is_err());
        *o.phone.is_searchable.lock().unwrap() = true;
        let placing = o.settle.run(&o.w.scope, call).await.unwrap();
        assert_eq!(matches!(placing, Placing::Placed(_)), was_placed);
        assert_eq!(o.settle.run(&o.w.scope, call).await.unwrap(), placing);
    }
}

#[tokio::test]
async fn the_providers_message_may_come_before_its_answer() {
    let o = office(Ok(()), &["lost after"]);
    *o.phone.is_searchable.lock().unwrap() = false;
    assert!(o.call_back.run(&o.w.scope, o.contact).await.is_err());
    let event = CallEvent { direction: Direction::Outbound, ..report(&[], "Hello") };
    o.w.tell(event.clone()).await;
    assert_eq!(o.placing(), Placing::Placed(event.call.clone()));
    assert_eq!(o.call_back.run(&o.w.scope, o.contact).await.unwrap().provider, event.call);
}

#[tokio::test]
async fn nobody_is_called_who_may_not_be() {
    let refused = async |change: fn(&mut voxanne_calls::testing::Actions)| {
        let o = office(Ok(()), &[]);
        o.w.store.change(o.w.scope.org(), |rows| change(&mut rows.actions));
        let refusal = o.call_back.run(&o.w.scope, o.contact).await.unwrap_err();
        assert!(o.phone.placed.lock().unwrap().is_empty());
        assert!(o.w.store.rows(o.w.scope.org()).actions.call_backs.is_empty());
        refusal
    };
    assert!(matches!(refused(|a| a.standing = Standing::Pending).await, CallBackError::NotVerified));
    assert!(matches!(refused(|a| a.standing = Standing::Suspended).await, CallBackError::Suspended));
    let opted_out = refused(|a| a.opted_out.push("+15005550009".parse().unwrap())).await;
    assert!(matches!(opted_out, CallBackError::OptedOut));
    assert!(matches!(refused(|a| a.line.assistant = None).await, CallBackError::NotSetUp("assistant")));
    assert!(matches!(refused(|a| a.line.number = None).await, CallBackError::NotSetUp("number")));
    let o = office(Err(LineRefusal::ShareUsed), &[]);
    let busy = o.call_back.run(&o.w.scope, o.contact).await;
    assert!(matches!(busy, Err(CallBackError::NoLine(LineRefusal::ShareUsed))));
    assert!(matches!(o.call_back.run(&o.w.scope, ContactId::generate()).await, Err(CallBackError::NotFound)));
    assert!(o.w.store.rows(o.w.scope.org()).actions.call_backs.is_empty());
}

#[tokio::test]
async fn a_call_that_the_provider_ends_for_want_of_a_line_says_so() {
    let o = office(Ok(()), &["no line"]);
    let busy = o.call_back.run(&o.w.scope, o.contact).await;
    assert!(matches!(busy, Err(CallBackError::NoLine(LineRefusal::AllBusy))));
    assert!(matches!(o.placing(), Placing::Placed(_)));
}
