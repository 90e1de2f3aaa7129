//! Services over MQTT that say nothing. There is no connection whose end would tell that one is gone, and whoever asks
//! for more than it has would wait for it each time: so it is asked whether it is there, and its paths are taken away
//! when it does not answer.

use std::time::Duration;

use usp_proto::record::Record;
use usp_proto::usp;
use usp_proto::usp::request::ReqType;

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::gather::{Job, JobId, LegReply};
use crate::input::MtpKind;
use crate::request::supported::PROTOCOL_VERSIONS;
use crate::time::Mono;
use crate::timers::Timer;

/// So many questions in a row stay unanswered before a Service counts as gone.
const QUESTIONS: u32 = 3;

/// What is known of the life of a Service over MQTT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// When the last Record of it came in.
    heard: Mono,
    /// When to look at it next.
    due: Mono,
    /// A question is under way.
    asked: bool,
    /// Questions in a row without an answer.
    unanswered: u32,
}

impl Life {
    /// Of one that has just said something.
    pub(crate) fn new(now: Mono) -> Self {
        Self { heard: now, due: now, asked: false, unanswered: 0 }
    }
}

impl Broker {
    /// A Record of a Service came in.
    pub(crate) fn hear_service(&mut self, id: ServiceId) {
        let now = self.model.now.monotonic;
        if let Some(life) = self.services.get_mut(id).map(|service| &mut service.life) {
            life.heard = now;
            life.unanswered = 0;
        }
    }

    /// From now on a Service is looked after.
    pub(crate) fn look_after(&mut self, id: ServiceId) {
        let silence = self.config.limits.mqtt_service_silence;
        if !silence.is_zero() && self.services.get(id).is_some_and(|service| service.mtp == MtpKind::Mqtt) {
            self.look_again(id, silence);
        }
    }

    /// A request that was sent at `since` has no answer.
    pub(crate) fn doubt_service(&mut self, id: ServiceId, since: Mono) {
        let off = self.config.limits.mqtt_service_silence.is_zero();
        let Some(service) = self.services.get(id).filter(|s| s.mtp == MtpKind::Mqtt && !off) else { return };
        // One that talks is merely slow.
        if service.life.heard <= since && !service.life.asked && service.life.unanswered == 0 {
            self.ask_for_life(id);
        }
    }

    /// It is time to look whether a Service has said something.
    pub(crate) fn handle_silence(&mut self, id: ServiceId) {
        let silence = self.config.limits.mqtt_service_silence;
        let now = self.model.now.monotonic;
        let Some(service) = self.services.get(id) else { return };
        let (conn, life) = (service.conn, service.life);
        if life.due > now || life.asked {
            return;
        }
        // While our client is away nobody can be heard.
        if self.is_away(conn) {
            return self.look_again(id, silence);
        }
        let quiet = now.since(life.heard);
        if life.unanswered == 0 && quiet < silence {
            return self.look_again(id, silence - quiet);
        }
        self.ask_for_life(id);
    }

    fn look_again(&mut self, id: ServiceId, after: Duration) {
        let due = self.model.now.monotonic + after;
        if let Some(service) = self.services.get_mut(id) {
            self.timers.clear(service.life.due, Timer::Silence(id));
            service.life.due = due;
            self.timers.set(due, Timer::Silence(id));
        }
    }

    fn ask_for_life(&mut self, id: ServiceId) {
        if let Some(service) = self.services.get_mut(id) {
            service.life.asked = true;
            self.begin(Box::new(Question { service: id, since: None }));
        }
    }

    /// A question was answered, or its time is over.
    fn judge_life(&mut self, id: ServiceId, since: Mono) {
        let silence = self.config.limits.mqtt_service_silence;
        let Some(service) = self.services.get_mut(id) else { return };
        let (conn, life) = (service.conn, &mut service.life);
        life.asked = false;
        if life.heard >= since {
            return self.look_again(id, silence);
        }
        life.unanswered += 1;
        let unanswered = life.unanswered;
        if self.is_away(conn) || unanswered < QUESTIONS {
            return self.look_again(id, silence / 6);
        }
        let name = self.services.name(id);
        tracing::warn!(service = %name, "a Service over MQTT does not answer any more: its paths are taken away");
        self.say_goodbye(conn, "you did not answer: register again");
        self.handle_disconnected(conn, &format!("it did not answer {QUESTIONS} times in a row"));
    }

    /// Somebody speaks as a Service and has nothing registered: its paths were taken away while it could not be heard, or
    /// this broker was restarted. It is told, so that it registers again.
    pub(crate) fn send_back(&mut self, client: u32, from: &Record, topic: &str) {
        let why = "you have nothing registered here: register again";
        self.publish_to(client, topic, self.goodbye(from.from.clone(), why));
    }
}

/// Asks a Service for its protocol versions, which every Agent can tell (R-GSP.0).
struct Question {
    service: ServiceId,
    since: Option<Mono>,
}

impl Job for Question {
    /// What it says does not matter, nor whether it is an Error: that it says something was noted when it came in.
    fn reply(&mut self, broker: &mut Broker, _: usize, _: LegReply) {
        if let Some(since) = self.since {
            broker.judge_life(self.service, since);
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if self.since.is_some() {
            return None;
        }
        self.since = Some(broker.model.now.monotonic);
        let versions = PROTOCOL_VERSIONS.to_owned();
        let asked = usp::GetSupportedProtocol { controller_supported_protocol_versions: versions };
        // Behind others it might not be sent in time, and what was not asked cannot be answered.
        broker.ask_service_first(id, 0, self.service, ReqType::GetSupportedProtocol(asked));
        Some(self)
    }
}
