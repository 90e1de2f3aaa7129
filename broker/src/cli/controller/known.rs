//! Questions besides the one that was asked, so that a command can say why there is nothing to show.

use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, GetSupportedDm};

use super::session::Session;

/// `Invalid path`: not in the supported data model.
pub(super) const INVALID_PATH: u32 = 7026;

/// Whether the Agent's supported data model has what a path addresses; `None` where that cannot be told.
pub(super) async fn is_supported(session: &Session, path: &str) -> Option<bool> {
    let supported = Path::parse(path).ok()?.to_supported()?.to_string();
    let request =
        GetSupportedDm { obj_paths: vec![supported], first_level_only: true, ..GetSupportedDm::default() };
    match session.client.request(ReqType::GetSupportedDm(request)).await {
        Ok(RespType::GetSupportedDmResp(response)) => match response.req_obj_results.first()?.err_code {
            0 => Some(true),
            INVALID_PATH => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a path of readings matches rows, all of which keep their reading to themselves.
pub(super) async fn has_withheld_readings(session: &Session, path: &str) -> bool {
    let Some(object) = object_of_reading(path) else { return false };
    let request = Get { param_paths: vec![object], max_depth: 1 };
    match session.client.request(ReqType::Get(request)).await {
        Ok(RespType::GetResp(response)) => {
            response.req_path_results.iter().any(|result| !result.resolved_path_results.is_empty())
        }
        _ => false,
    }
}

/// The object of a capability's `Value` or `Values`.
fn object_of_reading(path: &str) -> Option<String> {
    let Path { segments, leaf: Leaf::Parameter(name) } = Path::parse(path).ok()? else { return None };
    let below_a_device =
        matches!(segments.get(1), Some(Segment::Name(table)) if table.as_str() == "ProxiedDevice");
    let is_reading = below_a_device && matches!(name.as_str(), "Value" | "Values");
    is_reading.then(|| Path { segments, leaf: Leaf::Object }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_told_from_other_parameters() {
        let object = |path: &str| object_of_reading(path).unwrap_or_default();
        let sensor = r#"Device.ProxiedDevice.[Type=="Meter"].IoTCapability.*.LevelSensor."#;
        assert_eq!(object(&format!("{sensor}Value")), sensor);
        for path in
            [&format!("{sensor}Unit"), sensor, "Device.Services.*.Value", "Device.ProxiedDevice.*.Name", "x"]
        {
            assert_eq!(object(path), "", "{path}");
        }
    }
}
