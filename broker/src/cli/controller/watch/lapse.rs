//! A time in which nothing was told: how it begins, and how it ends.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;

use super::{LIFE, time};
use crate::cli::Failure;
use crate::cli::controller::session::Session;
use crate::cli::controller::show::say;
use crate::cli::controller::subscription::{Temporary, Wanted};

/// Between the first attempts to reach the Agent again; each time twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Since when nothing is sure any more.
#[derive(Debug)]
pub(in crate::cli::controller) struct Lapse {
    /// The last moment of which everything was told.
    pub(in crate::cli::controller) since: Timestamp,
    /// What went wrong, in one line.
    pub(in crate::cli::controller) why: String,
}

impl Lapse {
    /// It begins at this moment.
    pub(in crate::cli::controller) fn now(why: impl Display) -> Self {
        Self { since: Timestamp::now(), why: why.to_string() }
    }

    /// Tries to reach the Agent again until that succeeds, and says so. Errors: it refuses what it had allowed before.
    pub(super) async fn mend(
        self,
        session: &mut Session,
        wanted: &[Wanted],
        former: &Temporary,
    ) -> Result<Temporary, Failure> {
        let (mut pause, mut told) = (FIRST_PAUSE, String::new());
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match again(session, wanted, former).await? {
                Ok(rows) => {
                    let (since, now) = (time(self.since), time(Timestamp::now()));
                    say(format!("watching again; what happened from {since} to {now} was not told"));
                    return Ok(rows);
                }
                // The same reason each time is one word.
                Err(why) if why != told => {
                    say(format!("not yet: {why}"));
                    told = why;
                }
                Err(_) => {}
            }
        }
    }
}

/// One attempt over a new connection; the inner error says why it has to be another one.
async fn again(
    session: &mut Session,
    wanted: &[Wanted],
    former: &Temporary,
) -> Result<Result<Temporary, String>, Failure> {
    if let Err(error) = session.reopen().await {
        return Ok(Err(error.to_string()));
    }
    // Where only the connection broke, the former rows are still there.
    former.forget(session).await;
    match Temporary::try_create(session, wanted, LIFE).await {
        Ok(Ok(rows)) => Ok(Ok(rows)),
        Ok(Err(refused)) if refused.may_pass => Ok(Err(refused.text)),
        Ok(Err(refused)) => Err(Failure::failed(format!("cannot go on watching: {}", refused.text))),
        Err(failure) => Ok(Err(failure.to_string())),
    }
}
