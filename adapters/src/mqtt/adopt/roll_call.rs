//! When all that a server keeps has been told, so that who was not among it is there no more.
//!
//! Nothing in MQTT says that the last kept publication was sent: a server may send them before or after SUBACK, as fast as
//! we acknowledge, or from another task. So it is believed when none came for a while and the server has answered to
//! something after that; a link that merely got stuck does not. A marker that we publish to ourselves would say the same
//! where access lists allow it, and some servers end the connection where they do not. The while is long for another
//! reason: a server that was restarted may keep nothing, and who comes back there tells everything again, with pauses of
//! its own before (Tasmota: 10 s for the connection and as much for the discovery).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::mqtt::board::Board;

/// So long nothing that was kept may come.
pub(super) const QUIET: Duration = Duration::from_secs(30);

/// Waits for the end of what a server keeps, once for each connection.
#[derive(Debug, Default)]
pub(super) struct RollCall {
    /// When something kept came last, or the connection was made; `None`: nothing is waited for.
    last: Option<Instant>,
}

impl RollCall {
    /// There is a connection.
    pub(super) fn begin(&mut self) {
        self.last = Some(Instant::now());
    }

    /// Something was published.
    pub(super) fn hear(&mut self, kept: bool) {
        if kept && self.last.is_some() {
            self.begin();
        }
    }

    /// There is no connection any more, or everything was told.
    pub(super) fn end(&mut self) {
        self.last = None;
    }

    /// Waits until everything was told. Whoever stops waiting may wait again.
    pub(super) async fn told(&self, board: &Board) {
        if let Some(last) = self.last {
            sleep_until(last + QUIET).await;
            if board.round_trip().await {
                return;
            }
        }
        // The next connection begins anew.
        std::future::pending().await
    }
}
