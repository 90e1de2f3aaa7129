//! The short names of discovery messages, and `~`.

use crate::adopt::json::Json;

/// What the entities of a device share.
pub(super) const SHARED: &[&str] = &[
    "device",
    "origin",
    "availability",
    "availability_topic",
    "availability_mode",
    "availability_template",
    "payload_available",
    "payload_not_available",
    "state_topic",
    "command_topic",
    "qos",
    "encoding",
];

/// Short and long.
const NAMES: &[(&str, &str)] = &[
    ("act_t", "action_topic"),
    ("act_tpl", "action_template"),
    ("avty", "availability"),
    ("avty_mode", "availability_mode"),
    ("avty_t", "availability_topic"),
    ("avty_tpl", "availability_template"),
    ("bri_cmd_t", "brightness_command_topic"),
    ("bri_cmd_tpl", "brightness_command_template"),
    ("bri_scl", "brightness_scale"),
    ("bri_stat_t", "brightness_state_topic"),
    ("bri_val_tpl", "brightness_value_template"),
    ("clr_temp_cmd_t", "color_temp_command_topic"),
    ("clr_temp_cmd_tpl", "color_temp_command_template"),
    ("clr_temp_k", "color_temp_kelvin"),
    ("clr_temp_stat_t", "color_temp_state_topic"),
    ("clr_temp_val_tpl", "color_temp_value_template"),
    ("cmd_t", "command_topic"),
    ("cmd_tpl", "command_template"),
    ("cmps", "components"),
    ("curr_hum_t", "current_humidity_topic"),
    ("curr_hum_tpl", "current_humidity_template"),
    ("curr_temp_t", "current_temperature_topic"),
    ("curr_temp_tpl", "current_temperature_template"),
    ("dev", "device"),
    ("dev_cla", "device_class"),
    ("e", "encoding"),
    ("en", "enabled_by_default"),
    ("ent_cat", "entity_category"),
    ("exp_aft", "expire_after"),
    ("fan_mode_cmd_t", "fan_mode_command_topic"),
    ("fan_mode_cmd_tpl", "fan_mode_command_template"),
    ("fan_mode_stat_t", "fan_mode_state_topic"),
    ("fan_mode_stat_tpl", "fan_mode_state_template"),
    ("frc_upd", "force_update"),
    ("ic", "icon"),
    ("json_attr_t", "json_attributes_topic"),
    ("max_mirs", "max_mireds"),
    ("min_mirs", "min_mireds"),
    ("max_k", "max_kelvin"),
    ("min_k", "min_kelvin"),
    ("max_temp", "max_temp"),
    ("min_temp", "min_temp"),
    ("mode_cmd_t", "mode_command_topic"),
    ("mode_cmd_tpl", "mode_command_template"),
    ("mode_stat_t", "mode_state_topic"),
    ("mode_stat_tpl", "mode_state_template"),
    ("o", "origin"),
    ("obj_id", "object_id"),
    ("off_dly", "off_delay"),
    ("opt", "optimistic"),
    ("ops", "options"),
    ("p", "platform"),
    ("pl", "payload"),
    ("pl_avail", "payload_available"),
    ("pl_cls", "payload_close"),
    ("pl_lock", "payload_lock"),
    ("pl_not_avail", "payload_not_available"),
    ("pl_off", "payload_off"),
    ("pl_on", "payload_on"),
    ("pl_open", "payload_open"),
    ("pl_prs", "payload_press"),
    ("pl_stop", "payload_stop"),
    ("pl_unlk", "payload_unlock"),
    ("pos_clsd", "position_closed"),
    ("pos_open", "position_open"),
    ("pos_t", "position_topic"),
    ("pos_tpl", "position_template"),
    ("ret", "retain"),
    ("set_pos_t", "set_position_topic"),
    ("set_pos_tpl", "set_position_template"),
    ("stat_cla", "state_class"),
    ("stat_closing", "state_closing"),
    ("stat_clsd", "state_closed"),
    ("stat_locked", "state_locked"),
    ("stat_off", "state_off"),
    ("stat_on", "state_on"),
    ("stat_open", "state_open"),
    ("stat_opening", "state_opening"),
    ("stat_stopped", "state_stopped"),
    ("stat_t", "state_topic"),
    ("stat_tpl", "state_template"),
    ("stat_unlocked", "state_unlocked"),
    ("stat_val_tpl", "state_value_template"),
    ("sup_clrm", "supported_color_modes"),
    ("t", "topic"),
    ("temp_cmd_t", "temperature_command_topic"),
    ("temp_cmd_tpl", "temperature_command_template"),
    ("temp_stat_t", "temperature_state_topic"),
    ("temp_stat_tpl", "temperature_state_template"),
    ("temp_unit", "temperature_unit"),
    ("uniq_id", "unique_id"),
    ("unit_of_meas", "unit_of_measurement"),
    ("val_tpl", "value_template"),
];

/// The same of `device`.
const DEVICE_NAMES: &[(&str, &str)] = &[
    ("cns", "connections"),
    ("cu", "configuration_url"),
    ("hw", "hw_version"),
    ("ids", "identifiers"),
    ("mdl", "model"),
    ("mdl_id", "model_id"),
    ("mf", "manufacturer"),
    ("sa", "suggested_area"),
    ("sn", "serial_number"),
    ("sw", "sw_version"),
];

/// The message with long names, and with `~` put into its topics.
pub(super) fn spelled_out(json: Json) -> Json {
    let base = json.text("~").map(str::to_owned);
    spelled(json, base.as_deref(), 0)
}

fn spelled(json: Json, base: Option<&str>, depth: usize) -> Json {
    let Json::Map(members) = json else { return json };
    let own_base = members
        .iter()
        .find(|(name, _)| name == "~")
        .and_then(|(_, value)| value.as_text())
        .map(str::to_owned);
    let base = own_base.as_deref().or(base);
    let member = |(name, value): (String, Json)| {
        let name = long(NAMES, &name);
        let value = match (name.as_str(), value) {
            ("device", Json::Map(device)) => Json::Map(
                device.into_iter().map(|(name, value)| (long(DEVICE_NAMES, &name), value)).collect(),
            ),
            ("components", Json::Map(all)) if depth == 0 => Json::Map(
                all.into_iter().map(|(key, value)| (key, spelled(value, base, depth + 1))).collect(),
            ),
            ("availability", Json::List(items)) => {
                Json::List(items.into_iter().map(|item| spelled(item, base, depth + 1)).collect())
            }
            (name, Json::Text(text)) if name.ends_with("topic") => Json::Text(with_base(&text, base)),
            (_, value) => value,
        };
        (name, value)
    };
    Json::Map(members.into_iter().filter(|(name, _)| name != "~").map(member).collect())
}

fn long(names: &[(&str, &str)], name: &str) -> String {
    names.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long).to_owned()
}

/// At the beginning or at the end.
fn with_base(topic: &str, base: Option<&str>) -> String {
    let Some(base) = base else { return topic.to_owned() };
    if let Some(rest) = topic.strip_prefix('~') {
        format!("{base}{rest}")
    } else if let Some(rest) = topic.strip_suffix('~') {
        format!("{rest}{base}")
    } else {
        topic.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_become_long_ones() {
        let json = Json::parse(
            br#"{"~": "plug", "stat_t": "~/state", "cmd_t": "set/~", "avty": [{"t": "~/lwt"}], "dev": {"ids": ["a"]}, "name": "~x"}"#,
        );
        let json = spelled_out(json.unwrap());
        assert_eq!(json.text("state_topic"), Some("plug/state"));
        assert_eq!(json.text("command_topic"), Some("set/plug"));
        assert_eq!(json.items("availability")[0].text("topic"), Some("plug/lwt"));
        assert_eq!(json.at(&["device", "identifiers"]).unwrap().as_items().len(), 1);
        assert_eq!((json.text("name"), json.get("~")), (Some("~x"), None));
    }
}
