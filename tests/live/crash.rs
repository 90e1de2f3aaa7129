//! `kill -9` in a loop of Sets, Adds and Deletes: whatever was answered is there after each restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_broker::client::Client;
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::set::{UpdateObject, UpdateParamSetting};
use usp_proto::usp::{Add, Delete, Get, Set, add_resp, delete_resp, set_resp};
use usp_tests::place::Place;

use crate::ACTOR;

/// How often, unless this says otherwise.
const ROUNDS: &str = "USP_TESTS_KILL_ROUNDS";
const USUAL_ROUNDS: u32 = 200;

/// Rows that are kept; beyond, the oldest is deleted.
const ROWS: usize = 8;

const TABLE: &str = "Device.LocalAgent.Subscription.";

/// What must be there, and what may be: an answer may have been under way when the broker died.
#[derive(Default)]
struct Expected {
    /// By row: its ID, the value of its NotifExpiration that was answered, and the one that was asked for last.
    rows: BTreeMap<u32, (String, u32, u32)>,
    /// Rows whose Delete was not answered.
    perhaps_deleted: BTreeSet<u32>,
    /// The ID of an Add that was not answered.
    perhaps_added: Option<String>,
    /// The highest number that was ever seen.
    highest: u32,
    /// Makes values and IDs.
    counter: u32,
    answered: u32,
}

/// Deterministic, of any spread.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let rounds = std::env::var(ROUNDS).map_or(USUAL_ROUNDS, |text| text.parse().expect(ROUNDS));
    let place = Place::new(ACTOR, "");
    let mut expected = Expected::default();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let mut broker = place.start();
        let (client, notifications) = place.client("self::crash").await;
        drop(notifications);
        expected.check(&client, round).await;
        // Some changes that are answered, however busy the machine is, and one in the middle of which it ends.
        for _ in 0..random.below(5) {
            expected.step(&client, &mut random).await;
        }
        let moment = Duration::from_micros(random.below(15_000));
        let working = tokio::time::timeout(moment, async {
            loop {
                expected.step(&client, &mut random).await;
            }
        });
        assert!(working.await.is_err(), "only the time ends it");
        broker.kill();
    }
    let answered = expected.answered;
    assert!(answered > rounds, "{answered} answers in {rounds} rounds: hardly anything was tried");
}

impl Expected {
    /// Compares with what is there, and takes that over.
    async fn check(&mut self, client: &Client, round: u32) {
        let found = rows(client).await;
        for (row, (id, answered, asked)) in &self.rows {
            match found.get(row) {
                Some((there, value)) => {
                    assert_eq!(there, id, "round {round}, row {row}");
                    assert!(
                        value == answered || value == asked,
                        "round {round}, row {row}: {value}, not {answered} or {asked}"
                    );
                }
                None => assert!(self.perhaps_deleted.contains(row), "round {round}: row {row} is lost"),
            }
        }
        for (row, (id, _)) in &found {
            if !self.rows.contains_key(row) {
                assert_eq!(
                    self.perhaps_added.as_ref(),
                    Some(id),
                    "round {round}: row {row} came from nowhere"
                );
                assert!(*row > self.highest, "round {round}: row {row} has a number that was used before");
            }
        }
        self.highest = self.highest.max(found.keys().max().copied().unwrap_or(0));
        self.rows = found.into_iter().map(|(row, (id, value))| (row, (id, value, value))).collect();
        self.perhaps_deleted.clear();
        self.perhaps_added = None;
    }

    /// One change. When this is dropped half-way, the change is only perhaps there.
    async fn step(&mut self, client: &Client, random: &mut Random) {
        self.counter += 1;
        let oldest = self.rows.keys().next().copied();
        match oldest {
            Some(row) if self.rows.len() > ROWS => self.delete(client, row).await,
            Some(_) if random.below(3) > 0 => {
                let index = usize::try_from(random.below(self.rows.len() as u64)).unwrap();
                let row = *self.rows.keys().nth(index).unwrap();
                self.set(client, row).await;
            }
            _ => self.add(client).await,
        }
        self.answered += 1;
    }

    async fn set(&mut self, client: &Client, row: u32) {
        let value = self.counter;
        self.rows.get_mut(&row).unwrap().2 = value;
        let setting =
            UpdateParamSetting { param: "NotifExpiration".into(), value: value.to_string(), required: true };
        let object = UpdateObject { obj_path: format!("{TABLE}{row}."), param_settings: vec![setting] };
        let request = Set { allow_partial: false, update_objs: vec![object] };
        let RespType::SetResp(answer) = ask(client, ReqType::Set(request)).await else { panic!() };
        let status = answer.updated_obj_results[0].oper_status.clone().unwrap().oper_status.unwrap();
        assert!(
            matches!(status, set_resp::updated_object_result::operation_status::OperStatus::OperSuccess(_)),
            "{status:?}"
        );
        self.rows.get_mut(&row).unwrap().1 = value;
    }

    async fn add(&mut self, client: &Client) {
        let id = format!("id-{}", self.counter);
        self.perhaps_added = Some(id.clone());
        let setting = |param: &str, value: &str| CreateParamSetting {
            param: param.into(),
            value: value.into(),
            required: true,
        };
        let param_settings = vec![
            setting("ID", &id),
            setting("NotifType", "Event"),
            setting("ReferenceList", "Device.Boot!"),
            setting("Persistent", "true"),
            setting("NotifExpiration", "0"),
        ];
        let object = CreateObject { obj_path: TABLE.into(), param_settings };
        let request = Add { allow_partial: false, create_objs: vec![object] };
        let RespType::AddResp(answer) = ask(client, ReqType::Add(request)).await else { panic!() };
        let status = answer.created_obj_results[0].oper_status.clone().unwrap().oper_status.unwrap();
        let add_resp::created_object_result::operation_status::OperStatus::OperSuccess(made) = status else {
            panic!("{status:?}")
        };
        let row = number(&made.instantiated_path);
        assert!(row > self.highest, "row {row} has a number that was used before");
        self.highest = row;
        self.rows.insert(row, (id, 0, 0));
        self.perhaps_added = None;
    }

    async fn delete(&mut self, client: &Client, row: u32) {
        self.perhaps_deleted.insert(row);
        let request = Delete { allow_partial: false, obj_paths: vec![format!("{TABLE}{row}.")] };
        let RespType::DeleteResp(answer) = ask(client, ReqType::Delete(request)).await else { panic!() };
        let status = answer.deleted_obj_results[0].oper_status.clone().unwrap().oper_status.unwrap();
        assert!(
            matches!(
                status,
                delete_resp::deleted_object_result::operation_status::OperStatus::OperSuccess(_)
            ),
            "{status:?}"
        );
        self.rows.remove(&row);
        self.perhaps_deleted.remove(&row);
    }
}

async fn ask(client: &Client, request: ReqType) -> RespType {
    client.request(request).await.unwrap_or_else(|error| panic!("{error}"))
}

/// By row: ID and NotifExpiration.
async fn rows(client: &Client) -> BTreeMap<u32, (String, u32)> {
    let get = Get { param_paths: vec![TABLE.into()], max_depth: 0 };
    let RespType::GetResp(answer) = ask(client, ReqType::Get(get)).await else { panic!() };
    let results = answer.req_path_results.into_iter().flat_map(|result| result.resolved_path_results);
    results
        .map(|row| {
            let params = row.result_params;
            (
                number(&row.resolved_path),
                (params["ID"].to_owned(), params["NotifExpiration"].parse().unwrap()),
            )
        })
        .collect()
}

fn number(path: &str) -> u32 {
    path.strip_prefix(TABLE).and_then(|rest| rest.strip_suffix('.')).and_then(|row| row.parse().ok()).unwrap()
}
