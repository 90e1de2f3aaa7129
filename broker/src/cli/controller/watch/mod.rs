//! `usp-broker watch PATH…`

mod lapse;
mod told;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use usp_proto::usp::Notify;

use super::known::{is_parameter, is_supported, tables_within};
use super::session::Session;
use super::show::{print_if_read, say, to_json};
use super::subscription::{Temporary, Wanted};
use crate::cli::Failure;
use crate::cli::interrupt::Interrupt;
pub(super) use lapse::Lapse;
use told::{Line, Told};

/// For how long a row lives unless it is renewed.
const LIFE: Duration = Duration::from_secs(120);

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker watch Device.ProxiedDevice. Device.LocalAgent.Periodic!
  usp-broker watch Device.USPServices.USPService. --type ObjectCreation,ObjectDeletion
When the connection breaks or the broker restarts, it tries again until the broker is back, and says on standard error from
when to when nothing was told. It never shows that broker's Boot!: a Subscription with Persistent=true does
(`usp-broker add Device.LocalAgent.Subscription.`), to a Controller that connects again. The Subscription rows made for this
vanish when the command ends, at the latest two minutes later.

With --json, one object a line, with `time` and `type`, and by type:
  ValueChange `path` `value`; Event `path` `params`; ObjectCreation `path` `unique_keys`; ObjectDeletion `path`;
  OperationComplete `path` `command_key` `output_args` or `error`"#;

/// `watch PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to watch; an object stands for all that is in it, its tables included
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// What to be told; without it ValueChange, and for a PATH ending in `!` Event, in `()` OperationComplete
    #[arg(long = "type", value_enum, value_delimiter = ',', value_name = "TYPE")]
    kinds: Vec<Kind>,
    /// End after this many notifications
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// `NotifType` of a Subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Kind {
    ValueChange,
    Event,
    ObjectCreation,
    ObjectDeletion,
    OperationComplete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::ValueChange => "ValueChange",
            Self::Event => "Event",
            Self::ObjectCreation => "ObjectCreation",
            Self::ObjectDeletion => "ObjectDeletion",
            Self::OperationComplete => "OperationComplete",
        }
    }

    /// What is most likely meant by a path alone.
    fn of_path(path: &str) -> Self {
        match path {
            path if path.ends_with('!') => Self::Event,
            path if path.ends_with("()") => Self::OperationComplete,
            _ => Self::ValueChange,
        }
    }
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let wanted = whole(wanted(&args.paths, &args.kinds), session).await?;
    for path in &args.paths {
        // A Service that registers it may still come.
        if is_supported(session, path).await == Some(false) {
            say(format!("{path} is not in the supported data model now; watching all the same"));
        }
    }
    let rows = Temporary::create(session, &wanted, LIFE).await?;
    for Wanted { kind, path } in &wanted {
        say(format!("watching {path} ({kind})"));
    }
    let mut watch = Watch { wanted, rows, left: args.count };
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let outcome = tokio::select! {
        outcome = watch.stay(session) => outcome,
        () = interrupt.wait() => Ok(()),
    };
    watch.rows.delete(session).await;
    outcome
}

/// What is watched, over as many connections as it takes.
struct Watch {
    wanted: Vec<Wanted>,
    rows: Temporary,
    /// So many more notifications are wanted; `None`: all.
    left: Option<u64>,
}

impl Watch {
    /// Until enough was told, or the Agent wants us no more.
    async fn stay(&mut self, session: &mut Session) -> Result<(), Failure> {
        while let Some(lapse) = self.follow(session).await? {
            say(format!("{}; trying again", lapse.why));
            self.rows = lapse.mend(session, &self.wanted, &self.rows).await?;
        }
        Ok(())
    }

    /// Prints what comes over this connection; `None`: that was enough.
    async fn follow(&mut self, session: &mut Session) -> Result<Option<Lapse>, Failure> {
        let (client, json) = (session.client.clone(), session.json);
        let rows = self.rows.clone();
        let mut alive = std::pin::pin!(rows.keep_alive(&client, LIFE));
        let lapse = loop {
            tokio::select! {
                next = session.notifications.next() => match next {
                    Ok(notify) => if !self.print(notify, json)? { return Ok(None) },
                    Err(why) => break Lapse::now(why),
                },
                lapse = &mut alive => break lapse,
            }
        };
        // What had come before is told all the same.
        while let Some(notify) = session.notifications.waiting() {
            if !self.print(notify, json)? {
                return Ok(None);
            }
        }
        Ok(Some(lapse))
    }

    /// `false`: that was enough.
    fn print(&mut self, notify: Notify, json: bool) -> Result<bool, Failure> {
        let Some(told) = notify.notification.and_then(Told::new) else { return Ok(true) };
        if !self.rows.has(&notify.subscription_id) {
            return Ok(true);
        }
        let line = Line { time: time(Timestamp::now()), told };
        // The reader has seen enough (`… | head`); the rows are still to be deleted.
        if !print_if_read(&if json { to_json(&line)? } else { line.text() })? {
            return Ok(false);
        }
        self.left = self.left.map(|left| left - 1);
        Ok(self.left != Some(0))
    }
}

fn wanted(paths: &[String], kinds: &[Kind]) -> Vec<Wanted> {
    let of_path = |path: &String| {
        let kinds = if kinds.is_empty() { vec![Kind::of_path(path)] } else { kinds.to_vec() };
        let path = path.clone();
        kinds.into_iter().map(move |kind| Wanted { kind: kind.name(), path: path.clone() })
    };
    paths.iter().flat_map(of_path).collect()
}

/// Most tables that one object stands for.
const MOST: usize = 32;

/// A Subscription to the creation or deletion of objects is about one table (TR-181, `Subscription.{i}.ReferenceList`), and an
/// object here stands for all that is in it: a row more for each table below.
async fn whole(wanted: Vec<Wanted>, session: &Session) -> Result<Vec<Wanted>, Failure> {
    let mut all = Vec::new();
    let changes: BTreeSet<String> =
        wanted.iter().filter(|it| it.kind == Kind::ValueChange.name()).map(|it| it.path.clone()).collect();
    for Wanted { kind, path } in wanted {
        // Of several types a Parameter means its own alone.
        if kind != Kind::ValueChange.name() && changes.contains(&path) && is_parameter(session, &path).await {
            continue;
        }
        let is_of_tables = [Kind::ObjectCreation, Kind::ObjectDeletion].iter().any(|it| it.name() == kind);
        let within = if is_of_tables && path.ends_with('.') {
            tables_within(session, &path).await
        } else {
            Vec::new()
        };
        if within.len() > MOST {
            return Err(Failure::invalid(format!(
                "{path} has {} tables in it, and a watch takes at most {MOST}: name those that you mean",
                within.len()
            )));
        }
        all.extend(of_tables(path, kind, &within));
    }
    Ok(all)
}

/// What is watched of an object with these tables in it. It has a row itself unless it is no table.
fn of_tables(path: String, kind: &'static str, within: &[String]) -> Vec<Wanted> {
    let is_table = within.is_empty() || within.iter().any(|table| table == "{i}.");
    let below = within.iter().filter(|table| *table != "{i}.").map(|table| {
        let rows = table.replace("{i}", "*");
        let rows = if kind == "ObjectDeletion" { &*rows } else { rows.strip_suffix("*.").unwrap_or(&rows) };
        format!("{path}{rows}")
    });
    let paths: Vec<String> = below.collect();
    let own = is_table.then_some(path);
    own.into_iter().chain(paths).map(|path| Wanted { kind, path }).collect()
}

/// In UTC, to the millisecond.
fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stands_for_the_tables_in_it() {
        let paths = |path: &str, kind, within: &[&str]| -> Vec<String> {
            let within: Vec<String> = within.iter().map(|table| (*table).to_owned()).collect();
            of_tables(path.to_owned(), kind, &within).into_iter().map(|wanted| wanted.path).collect()
        };
        let tables = ["{i}.", "{i}.IoTCapability.{i}."];
        assert_eq!(
            paths("Device.ProxiedDevice.", "ObjectCreation", &tables),
            ["Device.ProxiedDevice.", "Device.ProxiedDevice.*.IoTCapability."]
        );
        assert_eq!(
            paths("Device.ProxiedDevice.", "ObjectDeletion", &tables),
            ["Device.ProxiedDevice.", "Device.ProxiedDevice.*.IoTCapability.*."]
        );
        assert_eq!(
            paths("Device.A.", "ObjectCreation", &["B.{i}."]),
            ["Device.A.B."],
            "it is no table itself"
        );
        assert_eq!(paths("Device.X.", "ObjectCreation", &[]), ["Device.X."], "nobody knows it yet");
    }

    #[test]
    fn a_path_tells_what_is_meant() {
        let paths = ["Device.A.", "Device.Boot!", "Device.A.Do()"].map(str::to_owned);
        let kinds: Vec<_> = wanted(&paths, &[]).iter().map(|w| w.kind).collect();
        assert_eq!(kinds, ["ValueChange", "Event", "OperationComplete"]);
        let both = [Kind::ObjectCreation, Kind::ObjectDeletion];
        assert_eq!(wanted(&paths, &both).len(), 6);
    }
}
