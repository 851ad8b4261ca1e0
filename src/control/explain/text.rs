//! The same reports for people.
use super::event::EventReport;
use super::report::{GrantPart, PolicyPart, Report, StatementPart};
use super::what_if::Changed;
use std::fmt::{Display, Formatter, Result};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{}", self.sentence)?;
        writeln!(f, "\nDecision: {}", self.decision)?;
        self.because.iter().try_for_each(|reason| writeln!(f, "  {reason}"))?;
        writeln!(f, "\nPolicies:")?;
        if self.policies.is_empty() {
            writeln!(f, "  none")?;
        }
        self.policies.iter().try_for_each(|policy| write!(f, "{policy}"))?;
        if let Some(grant) = &self.grant {
            write!(f, "{grant}")?;
        }
        writeln!(f, "\nFacts:")?;
        for (key, values) in &self.facts {
            writeln!(f, "  {key} = {}", values.join(", "))?;
        }
        if !self.unknown.is_empty() {
            writeln!(f, "\nAsked about, and not known (give them with --context KEY=VALUE):")?;
            self.unknown.iter().try_for_each(|key| writeln!(f, "  {key}"))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "\nNote: {note}"))
    }
}

impl Display for PolicyPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "  {} {:?}", self.kind, self.name)?;
        if let Some(defect) = &self.defect {
            writeln!(f, "    cannot be read and so denies everything: {defect}")?;
        }
        self.applied.iter().try_for_each(|s| writeln!(f, "    + {s}"))?;
        self.missed.iter().try_for_each(|s| writeln!(f, "    - {s}"))?;
        match self.others {
            0 => Ok(()),
            1 => writeln!(f, "      1 statement speaks of other actions"),
            others => writeln!(f, "      {others} statements speak of other actions"),
        }
    }
}

impl Display for StatementPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "statement {}", self.statement)?;
        if let Some(sid) = &self.sid {
            write!(f, " ({sid})")?;
        }
        write!(f, ", {}: {}", self.effect, self.why)
    }
}

impl Display for GrantPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { id, key, grantee, operations } = self;
        writeln!(f, "  grant {id}\n    + {grantee} may {} with {key}", operations.join(", "))
    }
}

impl Display for EventReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "Event {}: {} at {}", self.event_id, self.event_name, self.event_time)?;
        writeln!(f, "  by {}", self.principal)?;
        writeln!(f, "Then: {}", self.then)?;
        writeln!(f, "Now:  {}", self.now)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "\nNote: {note}"))?;
        self.questions.iter().try_for_each(|report| write!(f, "\n{report}"))
    }
}

impl Display for Changed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "{} events looked at, {} of them evaluated, {} would be answered otherwise",
            self.examined, self.evaluated, self.changed
        )?;
        if self.unlike_then > 0 {
            writeln!(
                f,
                "{} are decided otherwise already now than they were then",
                self.unlike_then
            )?;
        }
        for group in &self.groups {
            let (from, to) =
                if group.now_allowed { ("allowed", "denied") } else { ("denied", "allowed") };
            writeln!(f, "\n{from} -> {to}: {} times", group.count)?;
            writeln!(f, "  {} {} on {}", group.principal, group.action, group.resource)?;
            writeln!(f, "  {}", group.because)?;
            writeln!(f, "  events: {}", group.events.join(", "))?;
        }
        Ok(())
    }
}
