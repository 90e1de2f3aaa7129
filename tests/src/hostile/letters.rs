//! Records that nobody should send.

use usp_proto::message;
use usp_proto::record::{Record, RecordBody};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Get, GetInstances, GetSupportedDm};

use super::dice::Dice;

/// Paths that cost as much as a path can.
fn heavy_path(dice: &mut Dice) -> String {
    let table = "Device.LocalAgent.Subscription.";
    let depth = 1 << dice.below(12);
    match dice.below(7) {
        0 => format!("{table}[{}Enable==true].", "Enable==true&&".repeat(depth)),
        1 => format!("{table}{}", "[Enable==true].".repeat(depth)),
        2 => format!("Device.{}", "A.".repeat(depth)),
        3 => format!("{table}*.Recipient{}.Alias", "+.Recipient".repeat(depth)),
        4 => "[".repeat(depth),
        5 => format!("{table}[ID==\"{}\"].", "\\\"%".repeat(depth)),
        _ => format!("Device.{}.", "*.".repeat(depth)),
    }
}

fn request(dice: &mut Dice) -> ReqType {
    let paths = match dice.below(4) {
        0 => vec!["Device.".to_owned(); 10_000],
        1 => (0..200).map(|_| heavy_path(dice)).collect(),
        2 => vec!["Device.".to_owned()],
        _ => vec![heavy_path(dice)],
    };
    match dice.below(5) {
        0 => ReqType::GetInstances(GetInstances { obj_paths: paths, first_level_only: false }),
        1 => ReqType::GetSupportedDm(GetSupportedDm {
            obj_paths: paths,
            return_params: true,
            ..Default::default()
        }),
        2 => ReqType::Delete(usp::Delete { allow_partial: dice.below(2) == 0, obj_paths: harmless(paths) }),
        3 => ReqType::Register(usp::Register {
            allow_partial: dice.below(2) == 0,
            reg_paths: paths.into_iter().map(|path| usp::register::RegistrationPath { path }).collect(),
        }),
        _ => ReqType::Get(Get { param_paths: paths, max_depth: 0 }),
    }
}

/// Those of which nothing can be deleted.
fn harmless(paths: Vec<String>) -> Vec<String> {
    paths.into_iter().filter(|path| !path.starts_with("Device.LocalAgent.")).collect()
}

/// A Record, more or less, from a peer to the broker.
pub(super) fn record(dice: &mut Dice, peer: &str) -> Vec<u8> {
    let (own, hub) = (peer.parse().unwrap(), "self::hub".parse().unwrap());
    let msg = message::request(&format!("m{}", dice.below(100)), request(dice));
    let good = Record::message(own, hub, msg);
    match dice.below(10) {
        0 => dice.bytes(2000),
        1 => dice.damage(good.encode()),
        2 => Record { version: "9".repeat(dice.below(50)), ..good }.encode(),
        3 => Record { to: "self::nobody".parse().unwrap(), ..good }.encode(),
        4 => Record { from: "self::somebody".parse().unwrap(), ..good }.encode(),
        5 => Record { body: RecordBody::Session { session_id: 1 }, ..good }.encode(),
        6 => answer(dice, good).encode(),
        _ => good.encode(),
    }
}

/// What nobody asked for.
fn answer(dice: &mut Dice, record: Record) -> Record {
    let id = format!("00000000-{}", dice.below(100));
    let resp = usp::response::RespType::GetResp(usp::GetResp::default());
    Record { body: RecordBody::Message(Box::new(message::response(&id, resp))), ..record }
}
