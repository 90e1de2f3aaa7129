//! Plays a case against a broker.

use std::time::{Duration, Instant};

use usp_proto::record::Record;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;

use crate::bench::{Bench, SECOND, TESTER};
use crate::fault::Fault;
use crate::pace::{GRACE, Pace};
use crate::pattern::{self, Expected, Vars};
use crate::player::Player;
use crate::script::{Case, Placed, Step};
use crate::socket::Socket;

/// How long nothing may come where nothing may answer.
const SILENCE: Duration = Duration::from_millis(250);
/// How long an answer is awaited that a fault may have taken, and where a case takes seconds by itself.
const SHORT: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(5)];

/// One case under way.
pub struct Stage<'a> {
    pub(crate) bench: &'a mut Bench,
    players: [Option<Player>; 2],
    pub(crate) vars: Vars,
    pub(crate) pace: Pace,
    pub(crate) fault: Option<Fault>,
    created: Vec<String>,
    /// What came unasked on connections that have ended.
    strays: Vec<String>,
    acting: [String; 2],
    sockets: Vec<Socket>,
    pub(crate) patience: Duration,
}

/// Plays a case. With a fault the outcome also says whether it had anything to do.
pub fn play(bench: &mut Bench, case: &Case, fault: Option<&str>) -> (Result<(), String>, bool) {
    let vars = bench.names.clone();
    let fault = fault.map(Fault::parse);
    let mut stage = Stage {
        bench,
        players: [None, None],
        vars,
        pace: Pace::new(),
        fault,
        created: Vec::new(),
        strays: Vec::new(),
        acting: [TESTER.to_owned(), SECOND.to_owned()],
        sockets: Vec::new(),
        patience: SHORT[usize::from(case.slow)],
    };
    let verdict = stage.steps(case).and_then(|()| stage.nothing_left());
    let struck = stage.struck();
    stage.clean(case);
    (verdict, struck)
}

impl Stage<'_> {
    fn steps(&mut self, case: &Case) -> Result<(), String> {
        let via = self.bench.via();
        let is_for = |placed: &&Placed| placed.over.is_empty() || via.is(&placed.over);
        case.steps
            .iter()
            .filter(is_for)
            .try_for_each(|placed| self.step(placed).map_err(|why| format!("{}: {why}", placed.place)))
    }

    /// A Controller, connected when it is first needed. The fault moves to whoever acts.
    fn player(&mut self, who: usize) -> &mut Player {
        let fault = self.take_fault();
        let (short, patience) = (fault.is_some(), self.patience);
        let (bench, acting) = (&*self.bench, self.acting[who].as_str());
        let player = self.players[who].get_or_insert_with(|| bench.player(acting));
        if let Some(fault) = fault {
            player.suffer(fault);
        }
        if short {
            player.patience = patience;
        }
        player
    }

    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        let held = self.players.iter_mut().flatten().find_map(|player| player.fault.take());
        held.or_else(|| self.fault.take())
    }

    fn struck(&mut self) -> bool {
        self.take_fault().is_some_and(|fault| fault.struck)
    }

    fn step(&mut self, placed: &Placed) -> Result<(), String> {
        match &placed.step {
            Step::Ask { who, request, expected } => self.ask(*who, request, expected),
            Step::Notify { who, expected, within } => self.notify(*who, expected, *within),
            Step::Quiet { who, seconds } => self.quiet(*who, Duration::from_secs_f64(*seconds)),
            Step::Mute { who, mute } => {
                self.player(*who).mute = *mute;
                Ok(())
            }
            Step::Reboot => {
                self.reboot();
                Ok(())
            }
            Step::Let { name, value } => {
                let value = pattern::filled(value, &self.vars)?;
                self.vars.insert(name.clone(), value);
                Ok(())
            }
            Step::Differ(one, two) => {
                let (one, two) = (pattern::filled(one, &self.vars)?, pattern::filled(two, &self.vars)?);
                if one == two { Err(format!("both are {one}")) } else { Ok(()) }
            }
            Step::As { who, id } => {
                self.leave();
                self.acting[*who].clone_from(id);
                Ok(())
            }
            Step::Gather { who, seconds, expected } => self.gather(*who, *seconds, expected),
            Step::Socket(how) => {
                self.sockets.push(Socket::open(self.bench.websocket(), how)?);
                Ok(())
            }
            Step::Refused(how) => match Socket::open(self.bench.websocket(), how) {
                Err(why) if !self.fault.as_mut().is_some_and(Fault::replies) && why.contains("400") => Ok(()),
                other => Err(format!("{:?}", other.err())),
            },
            Step::Frames { frames, path } => self.socket(None)?.get(*frames, path),
            Step::Frame { opcode, payload } => self.socket(None)?.frame(true, *opcode, payload),
            Step::Came { socket, expected } => self.came(*socket, expected),
            Step::Record { from, to, path } => self.record(from, to, path),
            Step::Bytes(bytes) => self.player(0).send(bytes),
            Step::Silence => self.silence(),
            Step::Hears { expected, within } => self.hears(expected, *within),
            Step::Still { seconds } => self.still(Duration::from_secs_f64(*seconds)),
            Step::Does(act) => {
                self.pace.acted(Instant::now());
                self.bench.scripted()?.act(act)
            }
            Step::Deliver { qos, reply, kind, path } => self.deliver(*qos, reply, kind, path),
            Step::Finally(_) => Ok(()),
        }
    }

    fn ask(&mut self, who: usize, request: &str, expected: &[Expected]) -> Result<(), String> {
        let request = pattern::filled(request, &self.vars)?;
        let player = self.player(who);
        let begun = Instant::now();
        let lines = player.ask(&request)?;
        self.pace.acted(begun);
        if expected.is_empty() {
            let bad = |line: &&String| {
                line.starts_with("Error") || line.contains(": failed") || line.contains(" ! ")
            };
            return lines.iter().find(bad).map_or(Ok(()), |line| Err(format!("{request}: {line}")));
        }
        match pattern::matches(expected, &lines, &self.vars) {
            Some(vars) => {
                self.vars = vars;
                Ok(())
            }
            None => Err(unlike(&request, expected, &lines)),
        }
    }

    fn notify(&mut self, who: usize, expected: &str, within: Option<(f64, f64)>) -> Result<(), String> {
        let player = self.player(who);
        let mut patience = within.map_or(player.patience, Pace::patience);
        if within.is_some() && player.fault.is_some() {
            patience -= GRACE;
        }
        let until = Instant::now() + patience;
        while player.told.is_empty() {
            if !player.pump(until)? {
                return Err(format!("waited in vain for: {expected}"));
            }
        }
        let Some((at, line)) = player.told.pop_front() else {
            return Err("nothing was told".to_owned());
        };
        let late = player.fault.as_mut().map_or(0.0, Fault::late);
        self.vars = pattern::one(expected, &line, &self.vars)
            .ok_or_else(|| format!("told: {line}\n    instead of: {expected}"))?;
        self.pace.came(at, late, within).map_err(|why| format!("{line}: {why}"))
    }

    fn quiet(&mut self, who: usize, long: Duration) -> Result<(), String> {
        let until = Instant::now() + long;
        let player = self.player(who);
        player.barrier()?;
        while player.pump(until)? {}
        if let Some(line) = player.fault.as_mut().and_then(Fault::invented) {
            player.told.push_back((Instant::now(), line));
        }
        player
            .told
            .pop_front()
            .map_or(Ok(()), |(_, line)| Err(format!("told where nothing is to be told: {line}")))
    }

    fn reboot(&mut self) {
        // What the Agent publishes when nobody is there is lost.
        if !self.bench.is_behind_server() {
            self.hear_out();
            self.leave();
        }
        let begun = Instant::now();
        self.bench.reboot();
        self.pace.acted(begun);
    }

    /// Everything that the Agent has to say before it ends.
    fn hear_out(&mut self) {
        let until = Instant::now() + usp_tests::wait::PATIENCE;
        for player in self.players.iter_mut().flatten() {
            while let Ok(true) = player.pump(until) {}
        }
    }

    /// Both connections end.
    fn leave(&mut self) {
        let strays = self.players.iter_mut().flatten().flat_map(|player| std::mem::take(&mut player.strays));
        self.strays.extend(strays);
        let created =
            self.players.iter_mut().flatten().flat_map(|player| std::mem::take(&mut player.created));
        self.created.extend(created);
        self.fault = self.take_fault();
        self.players = [None, None];
    }

    fn gather(&mut self, who: usize, seconds: f64, expected: &str) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let player = self.player(who);
        while player.pump(until)? {}
        let told: Vec<String> = player.told.drain(..).map(|(_, line)| line).collect();
        let unlike = told.iter().find(|line| pattern::one(expected, line, &self.vars).is_none());
        unlike.map_or(Ok(()), |line| Err(format!("told: {line}\n    instead of: {expected}")))
    }

    fn socket(&mut self, number: Option<usize>) -> Result<&mut Socket, String> {
        let number = number.or(self.sockets.len().checked_sub(1));
        number.and_then(|number| self.sockets.get_mut(number)).ok_or_else(|| "no raw connection".to_owned())
    }

    fn came(&mut self, number: Option<usize>, expected: &str) -> Result<(), String> {
        let mut fault = self.take_fault();
        let patience = if fault.is_some() { self.patience } else { usp_tests::wait::PATIENCE };
        let until = Instant::now() + patience;
        let mut line = None;
        while let Some(event) = self.socket(number)?.event(until) {
            let dropped = fault.as_mut().is_some_and(|fault| fault.drops_line(&event));
            let told =
                fault.as_mut().map_or_else(|| vec![event.clone()], |fault| fault.told(vec![event.clone()]));
            line = told.into_iter().next().filter(|_| !dropped);
            if line.is_some() {
                break;
            }
        }
        self.fault = fault;
        let line = line.ok_or_else(|| format!("waited in vain for: {expected}"))?;
        self.vars = pattern::one(expected, &line, &self.vars)
            .ok_or_else(|| format!("came: {line}\n    instead of: {expected}"))?;
        Ok(())
    }

    fn record(&mut self, from: &str, to: &str, path: &str) -> Result<(), String> {
        let id = |text: &str| {
            pattern::filled(text, &self.vars)?.parse().map_err(|_| format!("{text:?} is no Endpoint ID"))
        };
        let (from, to) = (id(from)?, id(to)?);
        let get = Get { param_paths: vec![path.to_owned()], max_depth: 0 };
        let msg = usp_proto::message::request("unanswered", ReqType::Get(get));
        let bytes = Record::message(from, to, msg).encode();
        self.player(0).send(&bytes)
    }

    /// Nothing answers; the connection may end.
    fn silence(&mut self) -> Result<(), String> {
        let until = Instant::now() + SILENCE;
        let player = self.player(0);
        while let Ok(true) = player.pump(until) {}
        let mut answers = std::mem::take(&mut player.strays);
        if player.fault.as_mut().is_some_and(Fault::replies) {
            answers.push("GetResp for unanswered".to_owned());
        }
        let player = self.players[0].take();
        self.fault = player.and_then(|player| player.fault);
        if answers.is_empty() { Ok(()) } else { Err(format!("answered: {answers:?}")) }
    }

    /// At the end nothing is left that nobody expected.
    fn nothing_left(&mut self) -> Result<(), String> {
        for who in 0..2 {
            if self.players[who].is_none() {
                continue;
            }
            let player = self.player(who);
            player.barrier()?;
            let strays = std::mem::take(&mut player.strays);
            if let Some((_, line)) = player.told.front() {
                return Err(format!("nobody expected: {line}"));
            }
            self.strays.extend(strays);
        }
        if self.strays.is_empty() { Ok(()) } else { Err(format!("nobody asked for: {:?}", self.strays)) }
    }

    /// Leaves the broker as it was: no Subscription, no row that was added.
    fn clean(mut self, case: &Case) {
        // It had a broker of its own, which may be gone.
        if case.slow {
            return;
        }
        let finally = case.steps.iter().filter_map(|placed| match &placed.step {
            Step::Finally(request) => pattern::filled(request, &self.vars).ok(),
            _ => None,
        });
        let mut created = std::mem::take(&mut self.created);
        created
            .extend(self.players.iter_mut().flatten().flat_map(|player| std::mem::take(&mut player.created)));
        let mut requests: Vec<String> = finally.collect();
        requests.extend(created.iter().rev().map(|path| format!("delete partial {path}")));
        requests.push("delete partial Device.LocalAgent.Subscription.*.".to_owned());
        self.players = [None, None];
        self.sockets.clear();
        requests.push("operate Device.LocalAgent.Request.*.Cancel()".to_owned());
        let mut janitor = self.bench.janitor();
        for request in requests {
            janitor.ask(&request).unwrap();
        }
    }
}

fn unlike(request: &str, expected: &[Expected], lines: &[String]) -> String {
    let expected: Vec<&str> = expected.iter().map(|line| line.text.as_str()).collect();
    format!(
        "> {request}\n    expected:\n      {}\n    came:\n      {}",
        expected.join("\n      "),
        lines.iter().take(60).cloned().collect::<Vec<_>>().join("\n      ")
    )
}
