//! On-boarding: an enabled Controller whose OnBoardingComplete is false is sent an OnBoardRequest until it confirms it, and
//! again OnBoardingRestartTime after that, until OnBoardingComplete is true (R-NOT.5 to R-NOT.7).
//!
//! Controllers of the configuration and those that come over a local socket need none: they are complete from the start.

use std::time::Duration;

use usp_proto::usp::notify::OnBoardRequest;

use crate::Broker;
use crate::request::supported::PROTOCOL_VERSIONS;
use crate::time::Mono;
use crate::timers::Timer;

/// How far the on-boarding of one Controller is.
#[derive(Debug, Default)]
pub(super) struct OnBoarding {
    /// When the last OnBoardRequest was confirmed; `None`: it is on its way.
    confirmed: Option<Mono>,
}

impl Broker {
    /// Brings a Controller's on-boarding in line with its row.
    pub(super) fn refresh_on_boarding(&mut self, controller: u32) {
        let needed = self.controller_says(controller, "Enable")
            && !self.controller_says(controller, "OnBoardingComplete");
        match (needed, self.agent.onboarding.contains_key(&controller)) {
            (true, false) => self.send_on_board_request(controller),
            (true, true) => self.plan_restart(controller),
            (false, true) => {
                self.agent.onboarding.remove(&controller);
                self.disarm(Timer::OnBoarding(controller));
                self.forget_on_board(controller);
            }
            (false, false) => {}
        }
    }

    /// Sends an OnBoardRequest, in the place of one that is on its way.
    pub(super) fn send_on_board_request(&mut self, controller: u32) {
        self.agent.onboarding.insert(controller, OnBoarding::default());
        self.disarm(Timer::OnBoarding(controller));
        let identity = &self.model.facts.identity;
        let request = OnBoardRequest {
            oui: identity.oui.clone(),
            product_class: identity.product_class.clone(),
            serial_number: identity.serial.clone(),
            agent_supported_protocol_versions: PROTOCOL_VERSIONS.to_owned(),
        };
        self.post_on_board(controller, request);
    }

    /// The Controller has confirmed an OnBoardRequest: the wait for the next begins.
    pub(crate) fn on_board_confirmed(&mut self, controller: u32) {
        let now = self.model.now.monotonic;
        if let Some(state) = self.agent.onboarding.get_mut(&controller) {
            state.confirmed = Some(now);
            self.plan_restart(controller);
        }
    }

    fn plan_restart(&mut self, controller: u32) {
        let timer = Timer::OnBoarding(controller);
        let confirmed = self.agent.onboarding.get(&controller).and_then(|state| state.confirmed);
        let wait = self.controller_number(controller, "OnBoardingRestartTime").filter(|seconds| *seconds > 0);
        match (confirmed, wait) {
            (Some(confirmed), Some(seconds)) => self.arm(timer, confirmed + Duration::from_secs(seconds)),
            _ => self.disarm(timer),
        }
    }

    /// OnBoardingRestartTime is over, and OnBoardingComplete still false.
    pub(crate) fn restart_on_boarding(&mut self, controller: u32) {
        if self.take_due(Timer::OnBoarding(controller)) {
            self.send_on_board_request(controller);
        }
    }
}
