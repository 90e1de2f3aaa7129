//! A Controller that may run Commands but not subscribe.

use std::process::Output;

use crate::support::{Place, stderr, stdout};

const CONFIG: &str = r#"
[[role]]
name = "Operator"
[[role.permission]]
targets = ["Device.LocalAgent.", "Device.ScheduleTimer()"]
param = "r---"
obj = "r---"
instantiated_obj = "r---"
command_event = "r-x-"
[[controller]]
endpoint_id = "self::operator"
role = "Operator"
"#;

fn operate(place: &Place, words: &[&str]) -> Output {
    place.output(&[&["operate", "--as", "self::operator", "--via", "uds:agent"], words].concat())
}

#[test]
fn an_asynchronous_command_runs_and_tells_that_it_cannot_be_waited_for() {
    let place = Place::new(CONFIG);
    let _daemon = place.start();
    let command = ["Device.ScheduleTimer()", "DelaySeconds=1000"];
    let output = operate(&place, &command);
    assert_eq!(output.status.code(), Some(1), "it is not known to be done");
    assert!(stdout(&output).contains("ScheduleTimer() running as Device.LocalAgent.Request."), "{output:?}");
    let said = stderr(&output);
    for text in ["7006", "cannot be waited for", "--no-wait", "rw-n on Device.LocalAgent.Subscription."] {
        assert!(said.contains(text), "{said}");
    }
    assert_eq!(operate(&place, &[command.as_slice(), &["--no-wait"]].concat()).status.code(), Some(0));
}

#[test]
fn a_synchronous_command_is_done_without_a_word_about_subscriptions() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    let output = operate(&place, &["Device.LocalAgent.Controller.1.SendOnBoardRequest()"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("SendOnBoardRequest() done"), "{output:?}");
    assert_eq!(stderr(&output), "");
    drop(daemon);
}

#[test]
fn a_command_that_is_refused_is_named() {
    let place = Place::new(CONFIG);
    let _daemon = place.start();
    for command in ["Device.Reboot()", "Device.NoSuch.Command()"] {
        let output = operate(&place, &[command]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(command), "{}", stderr(&output));
    }
}
