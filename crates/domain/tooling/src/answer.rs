//! The use case behind every tool call: one message, any number of calls, one answer for each, in order.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use voxanne_kernel::{E164, OrgScope, text::cut_at_word};

use crate::{
    args::{self, Lacking},
    call::ToolCall,
    desk::{DeskError, Direction, FrontDesk, Origin, Refusal},
    name::ToolName,
    say,
};

/// In which phone call, for whom, the tools are called. Established from the message's ids, never from arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallContext {
    /// The organization the call belongs to.
    pub scope: OrgScope,
    /// The voice provider's id of the call.
    pub call: Option<String>,
    /// Which way the call goes.
    pub direction: Direction,
    /// The other party's number.
    pub caller: Option<E164>,
    /// The voice provider's id of the assistant that speaks.
    pub assistant: Option<String>,
    /// Where the live call takes commands, as its message said; untrusted.
    pub control: Option<String>,
    /// Whether the organization is suspended: then every answer says that the line is not available.
    pub suspended: bool,
}

/// How a call ended, for metrics and for whoever wants to know whether something was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToolOutcome {
    /// It was done.
    Done,
    /// A proper "no".
    Declined,
    /// Something had to be asked first.
    Incomplete,
    /// The organization is suspended.
    Unavailable,
    /// There is no such tool.
    UnknownTool,
    /// We could not do it.
    Failed,
}

impl ToolOutcome {
    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
            Self::UnknownTool => "unknown_tool",
            Self::Failed => "failed",
        }
    }
}

/// The answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The call's id.
    pub id: String,
    /// The tool's name, as it was called.
    pub name: String,
    /// One line that the assistant can say.
    pub said: String,
    /// How it ended.
    pub outcome: ToolOutcome,
}

/// Is told how long each call took.
pub trait ToolMeter: Send + Sync {
    /// A call of `tool` (`unknown` when it is none of ours) ended after `took`.
    fn record(&self, tool: &'static str, outcome: ToolOutcome, took: Duration);
}

/// Measures nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMeter;

impl ToolMeter for NoMeter {
    fn record(&self, _: &'static str, _: ToolOutcome, _: Duration) {}
}

/// Answers tool calls.
#[derive(Clone)]
pub struct AnswerToolCalls {
    desk: Arc<dyn FrontDesk>,
    meter: Arc<dyn ToolMeter>,
}

impl AnswerToolCalls {
    /// Answers with what `desk` does, and tells `meter`.
    pub fn new(desk: Arc<dyn FrontDesk>, meter: Arc<dyn ToolMeter>) -> Self {
        Self { desk, meter }
    }

    /// Answers `calls` one after the other, in their order; a repeated id is answered once.
    ///
    /// It never fails: whatever happens is an answer the assistant can say.
    pub async fn run(&self, context: &CallContext, calls: Vec<ToolCall>) -> Vec<ToolAnswer> {
        let mut seen = HashSet::new();
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            if !seen.insert(call.id.clone()) {
                continue;
            }
            let began = Instant::now();
            let tool = call.name.parse::<ToolName>().ok();
            let (said, outcome) = match tool {
                _ if context.suspended => (say::line_unavailable(), ToolOutcome::Unavailable),
                Some(tool) => self.use_tool(tool, context, &call).await,
                None => (say::unknown_tool(cut_at_word(&call.name, 64)), ToolOutcome::UnknownTool),
            };
            self.meter.record(tool.map_or("unknown", ToolName::as_str), outcome, began.elapsed());
            answers.push(ToolAnswer { id: call.id, name: call.name, said, outcome });
        }
        answers
    }

    async fn use_tool(
        &self,
        tool: ToolName,
        context: &CallContext,
        call: &ToolCall,
    ) -> (String, ToolOutcome) {
        match self.ask_desk(tool, context, call).await {
            Ok(said) => (said, ToolOutcome::Done),
            Err(Problem::Lacking(lacking)) => {
                (say::lacking(&lacking, purpose(tool)), ToolOutcome::Incomplete)
            }
            Err(Problem::Desk(DeskError::Declined(declined))) => {
                let outcome = match declined.why {
                    Refusal::LineUnavailable => ToolOutcome::Unavailable,
                    _ => ToolOutcome::Declined,
                };
                (say::declined(&declined), outcome)
            }
            Err(Problem::Desk(DeskError::Store(error))) => {
                let org = context.scope.org();
                let error = &error as &dyn std::error::Error;
                tracing::error!(org_id = %org, call_id = context.call, tool = %tool, error, "a tool call failed");
                (say::trouble(), ToolOutcome::Failed)
            }
        }
    }

    async fn ask_desk(
        &self,
        tool: ToolName,
        context: &CallContext,
        call: &ToolCall,
    ) -> Result<String, Problem> {
        let (desk, scope, caller) = (&self.desk, &context.scope, context.caller.as_ref());
        let arguments = &call.arguments;
        let origin = &Origin {
            call: context.call.clone(),
            tool_call: call.id.clone(),
            direction: context.direction,
            caller: context.caller.clone(),
            assistant: context.assistant.clone(),
        };
        Ok(match tool {
            ToolName::BookClinicAppointment => {
                say::booked(&desk.book(scope, origin, args::booking(arguments, caller)?).await?)
            }
            ToolName::CheckAvailability => {
                say::openings(&desk.openings(scope, args::availability(arguments)?).await?)
            }
            ToolName::RescheduleAppointment => {
                say::moved(&desk.reschedule(scope, origin, args::reschedule(arguments, caller)?).await?)
            }
            ToolName::CancelAppointment => {
                say::cancelled(&desk.cancel(scope, origin, args::cancel(arguments, caller)).await?)
            }
            ToolName::LookupAppointments => {
                say::appointments(&desk.appointments(scope, args::lookup(arguments, caller)?).await?)
            }
            ToolName::GetServicePrice => say::price(&desk.price(scope, &args::price(arguments)?).await?),
            ToolName::QueryKnowledgeBase => {
                say::known(&desk.knowledge(scope, &args::question(arguments)?).await?)
            }
            ToolName::TransferCall => {
                let ask = args::transfer(arguments, context.control.as_deref());
                say::transferred(&desk.transfer(scope, ask).await?)
            }
        })
    }
}

enum Problem {
    Lacking(Lacking),
    Desk(DeskError),
}

impl From<Lacking> for Problem {
    fn from(lacking: Lacking) -> Self {
        Self::Lacking(lacking)
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

/// Completes "I still need … to".
const fn purpose(tool: ToolName) -> &'static str {
    match tool {
        ToolName::BookClinicAppointment => "book this",
        ToolName::CheckAvailability => "check the calendar",
        ToolName::RescheduleAppointment => "move the appointment",
        ToolName::CancelAppointment => "cancel the appointment",
        ToolName::LookupAppointments | ToolName::QueryKnowledgeBase => "look that up",
        ToolName::GetServicePrice => "look up the price",
        ToolName::TransferCall => "put you through",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{call::Arguments, testing::MemoryDesk, testing::context};

    fn call(id: &str, name: &str, arguments: Value) -> ToolCall {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: Arguments::new(arguments) }
    }

    fn booking(id: &str, time: &str) -> ToolCall {
        call(id, "bookClinicAppointment", json!({"date":"2026-12-01","time":time,"patientName":"Ann"}))
    }

    #[tokio::test]
    async fn several_calls_are_answered_in_order_and_repeats_once() {
        let desk = Arc::new(MemoryDesk::default());
        let answers = AnswerToolCalls::new(desk.clone(), Arc::new(NoMeter));
        let calls = vec![
            booking("a", "14:00"),
            booking("a", "14:00"),
            call("b", "flyToTheMoon", json!({})),
            call("c", "bookClinicAppointment", json!({"time":"2pm"})),
            booking("d", "14:00"),
            call("e", "getServicePrice", json!({"service":"botox"})),
        ];
        let answers = answers.run(&context(), calls).await;
        let said: Vec<_> = answers.iter().map(|a| (a.id.as_str(), a.outcome, a.said.as_str())).collect();
        assert_eq!(
            said,
            [
                ("a", ToolOutcome::Done, "You're booked for Tuesday, December 1 at 2 PM."),
                ("b", ToolOutcome::UnknownTool, "There is no tool called flyToTheMoon."),
                (
                    "c",
                    ToolOutcome::Incomplete,
                    "I still need the date and the patient's name to book this. What are they?"
                ),
                (
                    "d",
                    ToolOutcome::Declined,
                    "I'm sorry, that time is already taken. The closest openings are Tuesday, December 1 at 3 PM. Which \
                     would you like?"
                ),
                ("e", ToolOutcome::Done, "Botox costs 400 dollars."),
            ]
        );
        assert_eq!(desk.booked().len(), 1);
    }

    #[tokio::test]
    async fn a_call_delivered_again_books_nothing_more() {
        let desk = Arc::new(MemoryDesk::default());
        let answers = AnswerToolCalls::new(desk.clone(), Arc::new(NoMeter));
        let first = answers.run(&context(), vec![booking("a", "14:00")]).await;
        let second = answers.run(&context(), vec![booking("a", "14:00")]).await;
        assert_eq!(first, second);
        assert_eq!(desk.booked().len(), 1);
    }

    #[tokio::test]
    async fn a_question_is_answered_from_what_is_known_and_a_person_is_reached_by_department() {
        let answers = AnswerToolCalls::new(Arc::new(MemoryDesk::default()), Arc::new(NoMeter));
        let check = async |name: &str, arguments: Value, outcome: ToolOutcome, expected: &str| {
            let answered = answers.run(&context(), vec![call("a", name, arguments)]).await;
            assert_eq!((answered[0].outcome, answered[0].said.as_str()), (outcome, expected));
        };
        let question = |text: &str| json!({ "question": text });
        check("queryKnowledgeBase", question("parking?"), ToolOutcome::Done, "Park behind the house.").await;
        check(
            "queryKnowledgeBase",
            question("lions?"),
            ToolOutcome::Done,
            "I don't have that information. Would you like somebody to call you back about it?",
        )
        .await;
        check(
            "queryKnowledgeBase",
            json!({}),
            ToolOutcome::Incomplete,
            "I still need the question to look that up. What is it?",
        )
        .await;
        let billing = json!({"department": "Billing", "number": "+15005550001"});
        check("transferCall", billing, ToolOutcome::Done, "I'm putting you through to Billing now.").await;
        check(
            "transferCall",
            json!({}),
            ToolOutcome::Declined,
            "I'm sorry, nobody can be reached right now. May I take a message, so that somebody calls you back?",
        )
        .await;
    }

    #[tokio::test]
    async fn a_suspended_organization_has_no_line() {
        let desk = Arc::new(MemoryDesk::default());
        let answers = AnswerToolCalls::new(desk.clone(), Arc::new(NoMeter));
        let suspended = CallContext { suspended: true, ..context() };
        let answered = answers.run(&suspended, vec![booking("a", "14:00")]).await;
        assert_eq!(answered[0].outcome, ToolOutcome::Unavailable);
        assert!(answered[0].said.contains("not available"));
        assert!(desk.booked().is_empty());
    }

    #[tokio::test]
    async fn a_broken_store_is_an_apology_without_details() {
        let desk = Arc::new(MemoryDesk::broken());
        let answers = AnswerToolCalls::new(desk, Arc::new(NoMeter));
        let answered = answers.run(&context(), vec![booking("a", "14:00")]).await;
        assert_eq!(answered[0].outcome, ToolOutcome::Failed);
        assert!(!answered[0].said.contains("store"));
    }
}
