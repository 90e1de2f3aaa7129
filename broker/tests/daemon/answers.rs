//! What the broker has answered is there after any crash: rows, their numbers, values, and that they were deleted.
//!
//! `CRASH_ROUNDS` says how often it is killed; a few times by default, some hundred times before a release.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use usp_broker::client::{Client, Options, RequestError};
use usp_proto::usp::add_resp::created_object_result::operation_status::OperStatus as Added;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Add, Delete, Get, Operate, Set, add, set};

use crate::powercut::{self, Coin, Shim};
use crate::support::Place;

const TABLE: &str = "Device.LocalAgent.Subscription.";
const CONFIG: &str = "[[controller]]\nendpoint_id = \"self::ctrl\"\nrole = \"Full Access\"\n";
const VALUE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

/// What must be there.
#[derive(Debug, Default)]
struct Known {
    /// Answered rows: path and ID.
    rows: BTreeMap<String, String>,
    /// A row whose Delete was sent and not answered: it may be there or not.
    in_doubt: Option<String>,
    /// The highest number seen.
    highest: u32,
    /// The value that was answered last, and the one that was sent last.
    answered: u64,
    sent: u64,
}

fn rounds() -> u64 {
    std::env::var("CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

async fn connect(place: &Place) -> Client {
    let via = format!("uds:{}", place.path("agent").display()).parse().unwrap();
    Client::connect(&Options::new(via, "self::ctrl".parse().unwrap())).await.unwrap().0
}

fn number(path: &str) -> u32 {
    path.trim_end_matches('.').rsplit('.').next().unwrap().parse().unwrap()
}

impl Known {
    /// Changes things until the connection ends.
    async fn work(&mut self, client: &Client, coin: &mut Coin) {
        while self.step(client, coin).await.is_ok() {}
    }

    async fn step(&mut self, client: &Client, coin: &mut Coin) -> Result<(), RequestError> {
        match coin.below(4) {
            0 => self.add(client, coin).await,
            1 if self.rows.len() > 5 => self.delete(client).await,
            _ => self.set(client).await,
        }
    }

    async fn add(&mut self, client: &Client, coin: &mut Coin) -> Result<(), RequestError> {
        let id = format!("id-{}", coin.below(u64::MAX));
        let setting = |param: &str, value: &str| add::CreateParamSetting {
            param: param.to_owned(),
            value: value.to_owned(),
            required: true,
        };
        let param_settings = vec![
            setting("ID", &id),
            setting("NotifType", "Event"),
            setting("ReferenceList", "Device.Boot!"),
            setting("Persistent", "true"),
        ];
        let create_objs = vec![add::CreateObject { obj_path: TABLE.to_owned(), param_settings }];
        let RespType::AddResp(answer) =
            client.request(ReqType::Add(Add { allow_partial: false, create_objs })).await?
        else {
            panic!("not an AddResp")
        };
        let status = answer.created_obj_results[0].oper_status.clone().unwrap().oper_status.unwrap();
        let Added::OperSuccess(success) = status else { panic!("{status:?}") };
        let path = success.instantiated_path;
        assert!(number(&path) > self.highest, "{path} had been given before");
        self.highest = number(&path);
        self.rows.insert(path, id);
        Ok(())
    }

    async fn delete(&mut self, client: &Client) -> Result<(), RequestError> {
        let path = self.rows.keys().next().unwrap().clone();
        self.rows.remove(&path);
        self.in_doubt = Some(path.clone());
        client.request(ReqType::Delete(Delete { allow_partial: false, obj_paths: vec![path] })).await?;
        self.in_doubt = None;
        Ok(())
    }

    async fn set(&mut self, client: &Client) -> Result<(), RequestError> {
        let (obj_path, param) = VALUE.split_at(VALUE.rfind('.').unwrap() + 1);
        self.sent += 1;
        let param_settings = vec![set::UpdateParamSetting {
            param: param.to_owned(),
            value: self.sent.to_string(),
            required: true,
        }];
        let update_objs = vec![set::UpdateObject { obj_path: obj_path.to_owned(), param_settings }];
        client.request(ReqType::Set(Set { allow_partial: false, update_objs })).await?;
        self.answered = self.sent;
        Ok(())
    }

    /// Compares with what a started broker has, and takes what is there as known.
    async fn check(&mut self, client: &Client, context: &str) {
        let param_paths = vec![format!("{TABLE}*.ID"), VALUE.to_owned()];
        let RespType::GetResp(answer) =
            client.request(ReqType::Get(Get { param_paths, max_depth: 0 })).await.unwrap()
        else {
            panic!("not a GetResp")
        };
        let results: Vec<_> = answer.req_path_results.into_iter().map(|r| r.resolved_path_results).collect();
        let mut found: BTreeMap<String, String> = results[0]
            .iter()
            .map(|row| (row.resolved_path.clone(), row.result_params["ID"].to_owned()))
            .collect();
        let doubtful = self.in_doubt.take().and_then(|path| found.remove_entry(&path));
        for (path, id) in &self.rows {
            assert_eq!(found.remove(path).as_ref(), Some(id), "{context}: {path}");
        }
        // Only one Add can have been done and not answered; a deleted row would show here.
        assert!(found.len() <= 1, "{context}: {found:?}");
        for path in found.keys() {
            assert!(number(path) > self.highest, "{context}: {path} should be gone");
            self.highest = number(path);
        }
        self.rows.extend(found.into_iter().chain(doubtful));
        let value: u64 = results[1][0].result_params["ProvisioningCode"].parse().unwrap_or(0);
        assert!(value == self.answered || value == self.sent, "{context}: {value} of {self:?}");
        (self.answered, self.sent) = (value, value);
    }
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_by_kill_9() {
    let place = Place::new(CONFIG);
    let (mut known, mut coin) = (Known::default(), Coin::new(7));
    // On a busy machine one round may be too short for any answer: then there are more of them.
    for round in 0.. {
        if round >= rounds() && known.highest > 3 && known.answered > 3 {
            break;
        }
        assert!(round < 100 * rounds(), "{known:?}");
        let daemon = place.start();
        let client = connect(&place).await;
        known.check(&client, &format!("round {round}")).await;
        let pause = Duration::from_millis(5 + coin.below(60));
        tokio::select! {
            () = known.work(&client, &mut coin) => panic!("it ended by itself"),
            () = tokio::time::sleep(pause) => {}
        }
        daemon.signal("KILL");
    }
}

/// The reset is promised first and done at the end: killed in between, it is done at the next start.
#[tokio::test]
async fn a_factory_reset_that_was_answered_is_done_in_spite_of_kill_9() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    let mut known = Known::default();
    let client = connect(&place).await;
    known.set(&client).await.unwrap();
    // Whoever does not read keeps the broker saying goodbye.
    let mut silent = UnixStream::connect(place.path("agent")).unwrap();
    silent.write_all(&usp_proto::uds_frame::handshake(&"self::silent".parse().unwrap())).unwrap();
    let command = "Device.FactoryReset()".to_owned();
    let operate = Operate { command, send_resp: true, ..Operate::default() };
    client.request(ReqType::Operate(operate)).await.unwrap();
    daemon.signal("KILL");
    daemon.end();

    let _daemon = place.start();
    Known::default().check(&connect(&place).await, "after the reset").await;
}

/// Killed at any change of a file, and the disk forgets what was not synced, or keeps any part of it.
#[tokio::test]
async fn nothing_that_was_answered_is_lost_by_a_power_cut() {
    let shim = Shim::compile();
    let (place, mut known, mut coin) = (Place::new(CONFIG), Known::default(), Coin::new(11));
    let (state, shadow, disk) = (place.path("state"), place.path("shadow"), place.path("disk"));
    fs::create_dir(&state).unwrap();
    for round in 0..rounds() {
        fs::create_dir(&shadow).unwrap();
        let at = 10 + coin.below(150);
        let context = format!("round {round}, cut at change {at}");
        let daemon = place.start_with(|command| shim.arm(command, &state, &shadow, at));
        if !daemon.ready.is_empty() {
            let client = connect(&place).await;
            known.check(&client, &context).await;
            known.work(&client, &mut coin).await;
        }
        assert_eq!(daemon.end().0, Some(99), "{context}");
        let seed = (round % 3 > 0).then_some(round);
        powercut::leave(&state, &shadow, &disk, seed);
        fs::remove_dir_all(&state).unwrap();
        fs::remove_dir_all(&shadow).unwrap();
        fs::rename(&disk, &state).unwrap();
    }
    let _daemon = place.start();
    known.check(&connect(&place).await, "at the end").await;
    assert!(known.highest > 3 && known.answered > 3, "{known:?}");
}
