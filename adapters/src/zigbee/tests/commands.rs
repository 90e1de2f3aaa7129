//! Commands of clusters, through the whole host: what a device answers is what became of them.

use usp_mapping::port::CommandId;

use super::points::site;
use super::*;

const LIGHT: &str = "uspmap: 1\nprofile: acme.light\nversion: 1.0.0\ndevice: {type: Light}\n\
    zigbee: {manufacturer: ACME, model: P1, timeout: 5s}\npoll: {slow: 1h}\n\
    capabilities:\n  power: {class: BinaryControl, type: Switch, read: {cluster: on_off, attribute: on_off}, write: {}}\n\
    commands:\n\
    \x20 X_ACME_Add: {send: [{cluster: groups, command: add_group, fields: {group: 7, name: \"\"}}]}\n\
    \x20 X_ACME_Remove: {send: [{cluster: groups, command: remove_group, fields: {group: 7}}]}\n\
    \x20 X_ACME_RemoveAll: {send: [{cluster: groups, command: remove_all_groups}]}\n\
    \x20 X_ACME_Store: {send: [{cluster: scenes, command: store_scene, fields: {group: 7, scene: 1}}]}\n\
    \x20 X_ACME_Recall: {send: [{cluster: scenes, command: recall_scene, fields: {group: 7, scene: 1}}]}\n\
    \x20 X_ACME_Own: {send: [{cluster: scenes, manufacturer_code: 0x117c, command: 0x07, fields: [{as: uint16, value: 1}]}]}\n\
    \x20 X_ACME_Query: {send: [{cluster: identify, command: identify_query}]}\n";

/// The server's own answer; its Default Response; one of the cluster; the same with a manufacturer.
const OWN: u8 = 0x19;
const DEFAULT: u8 = 0x18;

/// Command by its place in the mapping; cluster and number; what is answered; what it is refused with, if it is.
type Row = (u16, (u16, u8), (u8, &'static [u8]), Option<&'static str>);

const ROWS: &[Row] = &[
    (0, (4, 0x00), (OWN, &[0x00, 0x00, 7, 0]), None),
    (0, (4, 0x00), (OWN, &[0x00, 0x89, 7, 0]), Some("insufficient space")),
    // It is in the group: revision 8 of the standard says SUCCESS instead.
    (0, (4, 0x00), (OWN, &[0x00, 0x8a, 7, 0]), None),
    (0, (4, 0x00), (DEFAULT, &[0x0b, 0x00, 0x81]), Some("not supported")),
    (0, (4, 0x00), (OWN, &[0x00]), Some("cut off")),
    (1, (4, 0x03), (OWN, &[0x03, 0x00, 7, 0]), None),
    (1, (4, 0x03), (OWN, &[0x03, 0x8b, 7, 0]), Some("not found")),
    (2, (4, 0x04), (DEFAULT, &[0x0b, 0x04, 0x00]), None),
    (2, (4, 0x04), (DEFAULT, &[0x0b, 0x04, 0x01]), Some("failure")),
    (3, (5, 0x04), (OWN, &[0x04, 0x00, 7, 0, 1]), None),
    (3, (5, 0x04), (OWN, &[0x04, 0x85, 7, 0, 1]), Some("a field is invalid")),
    (4, (5, 0x05), (DEFAULT, &[0x0b, 0x05, 0x00]), None),
    (4, (5, 0x05), (DEFAULT, &[0x0b, 0x05, 0x8b]), Some("not found")),
    (6, (3, 0x01), (OWN, &[0x00, 0x0a, 0x00]), None),
    // It does not identify itself.
    (6, (3, 0x01), (DEFAULT, &[0x0b, 0x01, 0x00]), None),
    (6, (3, 0x01), (DEFAULT, &[0x0b, 0x01, 0x81]), Some("not supported")),
];

async fn joined() -> World {
    let mut world = started(&site(LIGHT));
    world.stick.wait_up().await;
    world.stick.joins(PLUG);
    world.stage(PLUG, JoinStage::Ready).await;
    world.comes("d").await;
    world
}

impl World {
    async fn command(&mut self, number: u16) -> Result<(), DeviceFault> {
        let id = self.call("d", Action::Command(CommandId(number), Vec::new()), 60 * SECOND);
        self.reply(id).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_is_what_became_of_it() {
    let mut world = joined().await;
    for (number, of, (control, said), refused) in ROWS {
        world.stick.stick().answers = [(*of, (*control, said.to_vec()))].into();
        let became = world.command(*number).await;
        match refused {
            None => assert_eq!(became, Ok(()), "{of:?} {said:02x?}"),
            Some(words) => {
                let why = became.expect_err(&format!("{of:?} {said:02x?}")).to_string();
                assert!(why.contains(words), "{of:?} {said:02x?}: {why}");
            }
        }
    }
}

/// Three that are not answered would make it count as offline.
#[tokio::test(start_paused = true)]
async fn a_command_with_a_default_response_keeps_a_device_online() {
    let mut world = joined().await;
    let answer = |command: u8| (DEFAULT, vec![0x0b, command, 0]);
    world.stick.stick().answers =
        [((4, 0x04), answer(0x04)), ((5, 0x05), answer(0x05)), ((5, 0x07), answer(0x07))].into();
    for number in [2, 4, 5, 2, 4, 5] {
        assert_eq!(world.command(number).await, Ok(()), "{number}");
    }
}
