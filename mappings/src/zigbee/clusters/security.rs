//! Intruder alarm systems (ZCL, chapter 8).

use super::{Cluster, E8, E16, M8, M16, TEXT, U8, U16, ZclType, attr, command, field};

pub(super) const CLUSTERS: &[Cluster] = &[
    Cluster {
        id: 0x0500,
        name: "ias_zone",
        attributes: &[
            attr(0x0000, "zone_state", E8),
            attr(0x0001, "zone_type", E16),
            attr(0x0002, "zone_status", M16).told(0x00, 0),
            attr(0x0010, "cie_address", ZclType::Eui64).rw(),
            attr(0x0011, "zone_id", U8),
            attr(0x0013, "current_sensitivity_level", U8).rw(),
        ],
        received: &[
            command(0x00, "enroll_response", &[field("code", E8), field("zone_id", U8)]),
            command(0x01, "initiate_normal_operation_mode", &[]),
            command(0x02, "initiate_test_mode", &[field("duration", U8), field("sensitivity", U8).or(0)]),
        ],
        generated: &[
            command(
                0x00,
                "status_change",
                &[
                    field("zone_status", M16),
                    field("extended_status", M8),
                    field("zone_id", U8),
                    field("delay", U16),
                ],
            ),
            command(0x01, "enroll_request", &[field("zone_type", E16), field("manufacturer", U16)]),
        ],
    },
    Cluster {
        id: 0x0501,
        name: "ias_ace",
        attributes: &[],
        received: &[
            command(0x00, "arm", &[field("mode", E8), field("code", TEXT), field("zone_id", U8)]),
            command(0x02, "emergency", &[]),
            command(0x03, "fire", &[]),
            command(0x04, "panic", &[]),
        ],
        generated: &[command(0x00, "arm_response", &[field("notification", E8)])],
    },
    Cluster {
        id: 0x0502,
        name: "ias_wd",
        attributes: &[attr(0x0000, "max_duration", U16).rw()],
        received: &[
            command(
                0x00,
                "start_warning",
                &[
                    field("info", M8),
                    field("duration", U16),
                    field("strobe_duty_cycle", U8).or(50),
                    field("strobe_level", E8).or(1),
                ],
            ),
            command(0x01, "squawk", &[field("info", M8)]),
        ],
        generated: &[],
    },
];
