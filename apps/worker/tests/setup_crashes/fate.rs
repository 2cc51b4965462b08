//! What becomes of a process, decided before it starts, in words that repeat it.

use std::fmt;

/// A place where a process meets the world: the `nth` request or commit (from 1) of one kind in its life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Point {
    /// `POST /vapi/assistant`, or `commit` and the last statement that wrote.
    pub(crate) label: String,
    /// Which of that kind.
    pub(crate) nth: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} #{}]", self.label, self.nth)
    }
}

/// On which side of a point something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Nothing of it has left the process.
    Before,
    /// It has been done, and the process does not know.
    After,
}

/// Where a process stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Where {
    /// At this point.
    At(Point, Side),
    /// At the nth of all its sides of points, from 0, whatever it is.
    Nth(u32),
}

/// How a process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// For good: nothing of it gets out any more.
    Killed,
    /// It is believed dead and goes on later, when another has done its work.
    Frozen,
}

/// In which way a provider's request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives, and no answer comes.
    Timeout,
    /// The connection is reset before it arrives.
    Reset,
    /// It is served, and the connection is reset before the answer.
    CommitThenDrop,
    /// 429 with a wait.
    TooMany,
    /// 500.
    Broken,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] =
        [Self::Timeout, Self::Reset, Self::CommitThenDrop, Self::TooMany, Self::Broken];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::CommitThenDrop => "commit_then_drop",
            Self::TooMany => "429",
            Self::Broken => "500",
        })
    }
}

/// Which request a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// This one.
    At(Point),
    /// The nth of the process, from 0, whatever it is.
    Nth(u32),
}

/// What becomes of one process. By default it lives on and everything goes well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Where it stops, if it does.
    pub(crate) stop: Option<(Where, How)>,
    /// What goes wrong for it before.
    pub(crate) faults: Vec<(Which, Fault)>,
}

impl Fate {
    pub(crate) fn stops(at: Point, side: Side, how: How) -> Self {
        Self { stop: Some((Where::At(at, side), how)), faults: Vec::new() }
    }

    pub(crate) fn struck(at: Point, fault: Fault) -> Self {
        Self { stop: None, faults: vec![(Which::At(at), fault)] }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (which, fault) in &self.faults {
            parts.push(match which {
                Which::At(point) => format!("{fault} at {point}"),
                Which::Nth(nth) => format!("{fault} at request {nth}"),
            });
        }
        if let Some((at, how)) = &self.stop {
            let how = if *how == How::Killed { "killed" } else { "frozen" };
            parts.push(match at {
                Where::At(point, Side::Before) => format!("{how} before {point}"),
                Where::At(point, Side::After) => format!("{how} after {point}"),
                Where::Nth(nth) => format!("{how} at event {nth}"),
            });
        }
        if parts.is_empty() { f.write_str("lives") } else { f.write_str(&parts.join(", ")) }
    }
}
