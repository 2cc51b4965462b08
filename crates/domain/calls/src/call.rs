//! A call, and how messages about it are merged.
//!
//! Messages are not replayed in order, because their order is not known. Each part of a call has a rule that gives the
//! same result in any order and for any repetition:
//! - the stage is the furthest one reached; an end is final;
//! - of several ends the earliest counts, unless there is a report, whose end counts;
//! - of several reports the earliest counts;
//! - the call started when its report says, else at its earliest message.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    E164, Money,
    ids::{CallId, ContactId, ServiceId},
};

use crate::{
    assessment::words,
    ending::{EndStatus, Ending, LOST_AT_PROVIDER},
    event::{CallEvent, Happened, ProviderCallId, Stage},
    lead::{Intent, LeadScore, LeadSignals},
    ports::Appraisal,
    report::Report,
};

/// Which way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody called the organization.
    Inbound,
    /// The organization called somebody.
    Outbound,
    /// Somebody talked to the assistant from a web page.
    Web,
}
words!(Direction: "inbound" => Inbound, "outbound" => Outbound, "web" => Web);

/// What a call is doing or was, in one word, as it is stored and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waiting to be placed.
    Pending,
    /// Ringing.
    Ringing,
    /// Going on.
    InProgress,
    /// Over, as it should be.
    Completed,
    /// Over, because something broke.
    Failed,
    /// Over, because nobody took it.
    NoAnswer,
    /// Over, because the line was busy.
    Busy,
}
words!(Status: "pending" => Pending, "ringing" => Ringing, "in_progress" => InProgress, "completed" => Completed,
    "failed" => Failed, "no_answer" => NoAnswer, "busy" => Busy);

/// How far a call has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not over.
    Open(Stage),
    /// Over, as far as a status message or our own search knows.
    Ended(Ending),
    /// Over and reported.
    Reported(Box<Reported>),
}

/// What is known once the report came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// When the provider sent the report; of two reports the earlier counts.
    pub at: Timestamp,
    /// What it said.
    pub report: Report,
    /// What the conversation is worth, in the organization's currency.
    pub value: Money,
    /// The organization's services that were mentioned.
    pub services: Vec<ServiceId>,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Ours.
    pub id: CallId,
    /// The provider's.
    pub provider_id: ProviderCallId,
    /// Which way it went.
    pub direction: Direction,
    /// The provider's id of the assistant that took it.
    pub assistant: Option<String>,
    /// The other side's number.
    pub phone: Option<E164>,
    /// The other side.
    pub contact: Option<ContactId>,
    /// When it started.
    pub started_at: Timestamp,
    /// How far it has got.
    pub progress: Progress,
    /// Whether an appointment was made in it.
    pub booked: bool,
}

/// What merging a message changed that others want to hear of; each is true at most once in a call's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// It was open and is over.
    pub ended: bool,
    /// It had no report and has one.
    pub reported: bool,
}

impl Call {
    /// The call that `event` is the first to speak of.
    pub fn first_heard_of(id: CallId, event: &CallEvent) -> Self {
        Self {
            id,
            provider_id: event.call.clone(),
            direction: event.direction,
            assistant: event.assistant.clone(),
            phone: event.phone.clone(),
            contact: None,
            started_at: event.at,
            progress: Progress::Open(Stage::Pending),
            booked: false,
        }
    }

    /// Merges what `event` says; `worth` is what a reported conversation is worth.
    pub fn merge(&mut self, event: &CallEvent, worth: &Appraisal) -> Changes {
        let (was_open, was_reported) = (self.is_open(), self.reported().is_some());
        self.direction = self.direction.min(event.direction);
        self.phone = least(self.phone.take(), event.phone.clone());
        self.assistant = least(self.assistant.take(), event.assistant.clone());
        match &event.what {
            Happened::StageReached { stage } => self.reach(*stage),
            Happened::Ended { ending } => self.end(ending.clone()),
            Happened::LostAtProvider => self.end(Ending::new(event.at, Some(LOST_AT_PROVIDER.to_owned()))),
            Happened::Reported { report } => self.report(event.at, report, worth),
        }
        if self.reported().is_none() {
            self.started_at = self.started_at.min(event.at);
        }
        Changes { ended: was_open && !self.is_open(), reported: !was_reported && self.reported().is_some() }
    }

    fn reach(&mut self, stage: Stage) {
        if let Progress::Open(reached) = &mut self.progress {
            *reached = stage.max(*reached);
        }
    }

    fn end(&mut self, ending: Ending) {
        match &mut self.progress {
            Progress::Open(_) => self.progress = Progress::Ended(ending),
            Progress::Ended(known) if ending < *known => *known = ending,
            Progress::Ended(_) | Progress::Reported(_) => {}
        }
    }

    fn report(&mut self, at: Timestamp, report: &Report, worth: &Appraisal) {
        if self.reported().is_some_and(|known| known.at <= at) {
            return;
        }
        self.started_at = report.started_at;
        self.progress = Progress::Reported(Box::new(Reported {
            at,
            report: report.clone(),
            value: worth.amount,
            services: worth.services.clone(),
        }));
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        matches!(self.progress, Progress::Open(_))
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.progress {
            Progress::Open(_) => None,
            Progress::Ended(ending) => Some(ending),
            Progress::Reported(reported) => Some(&reported.report.ending),
        }
    }

    /// Its report, if it came.
    pub fn reported(&self) -> Option<&Reported> {
        match &self.progress {
            Progress::Reported(reported) => Some(reported),
            Progress::Open(_) | Progress::Ended(_) => None,
        }
    }

    /// In one word.
    pub fn status(&self) -> Status {
        match (&self.progress, self.ending().map(|e| e.status)) {
            (Progress::Open(Stage::Pending), _) => Status::Pending,
            (Progress::Open(Stage::Ringing), _) => Status::Ringing,
            (_, Some(EndStatus::Completed)) => Status::Completed,
            (_, Some(EndStatus::Failed)) => Status::Failed,
            (_, Some(EndStatus::NoAnswer)) => Status::NoAnswer,
            (_, Some(EndStatus::Busy)) => Status::Busy,
            (Progress::Open(Stage::InProgress), _) | (_, None) => Status::InProgress,
        }
    }

    /// How long it lasted: the report's word, else from start to end.
    pub fn duration_seconds(&self) -> Option<u32> {
        if let Some(reported) = self.reported() {
            return Some(reported.report.duration_seconds);
        }
        let seconds = self.ending()?.at.duration_since(self.started_at).as_secs();
        Some(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
    }

    /// What it says about a lead; `None` before its report.
    pub fn signals(&self) -> Option<LeadSignals> {
        let reported = self.reported()?;
        let assessment = reported.report.assessment;
        Some(LeadSignals {
            intent: if self.booked { Intent::Booked } else { Intent::of_outcome(assessment.outcome) },
            urgency: assessment.urgency,
            sentiment: assessment.sentiment,
            value: reported.value,
            at: reported.report.ending.at,
        })
    }

    /// The lead's score as this call alone gives it, at its end; `None` before its report.
    pub fn lead_score(&self) -> Option<LeadScore> {
        self.signals().map(|signals| signals.score().at(signals.at, Some(signals.at)))
    }
}

/// The lesser of those that are there.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
