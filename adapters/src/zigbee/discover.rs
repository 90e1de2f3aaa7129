//! Who is in a network of which nothing is kept: one that was taken over, or that is only looked at.
//!
//! Whoever is awake is called, and answers; routers are asked for their neighbours, among them such as sleep. Who sleeps and hangs on
//! the coordinator itself is found when it says something.

use super::board::{Board, Question, Said};
use super::members::MOST;
use super::ncp::Ieee;
use super::zdo::{self, Role};

use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Most parts of a router's answer.
const PARTS: usize = 32;

/// Asks a router that was found for its neighbours; those that are not known are put down for whoever runs the network.
pub(super) async fn neighbours(board: &Board, router: Ieee) {
    if board.known(router).is_none_or(|known| known.node.role == Role::EndDevice) {
        return;
    }
    let mut start = 0u8;
    for _ in 0..PARTS {
        let question = Question::zdo(zdo::NEIGHBOURS, zdo::neighbours_from(0, start));
        let Ok(Said::Zdo(payload)) = board.ask(router, &question, ANSWER).await else { return };
        let Some((zdo::SUCCESS, rest)) = zdo::answer(&payload) else { return };
        let Some((total, some)) = zdo::neighbours(rest) else { return };
        let count = u8::try_from(some.len()).unwrap_or(u8::MAX);
        put_down(board, some);
        start = start.saturating_add(count);
        if count == 0 || start >= total {
            return;
        }
    }
}

fn put_down(board: &Board, some: Vec<(Ieee, u16)>) {
    let mut shared = board.shared();
    for (ieee, nwk) in some {
        let is_valid = ieee.0 != 0 && ieee.0 != u64::MAX && nwk < 0xfff8 && nwk != 0;
        if is_valid && shared.members.get(ieee).is_none() && shared.found.len() < MOST {
            shared.found.push((ieee, nwk));
        }
    }
    drop(shared);
    board.chores.notify_one();
}
