//! Devices with holes, limits and seams, of which nothing is configured.

use super::*;

/// What a device is like; nothing of it is told to the reader.
#[derive(Clone, Debug)]
struct Device {
    holes: Vec<u32>,
    longest: u32,
    /// Reads across these are refused.
    banks: Vec<u32>,
}

impl Device {
    fn answers(&self, block: &Block) -> bool {
        let span = block.span();
        let hole = self.holes.iter().any(|at| (span.from..span.to).contains(at));
        let across = self.banks.iter().any(|at| span.from < *at && *at < span.to);
        !hole && !across && span.len() <= self.longest
    }
}

/// One round of reads.
#[derive(Debug, Default)]
struct Round {
    good: Vec<PointId>,
    bad: Vec<PointId>,
    answered: usize,
    /// Reads that failed, but for points by themselves.
    failed: usize,
}

struct Reader {
    points: Vec<Placed>,
    options: ModbusOptions,
    learnt: Learnt,
    now: Instant,
    /// Reads that failed in the last round.
    refused: usize,
}

impl Reader {
    fn new(points: Vec<Placed>, max_gap: u16) -> Self {
        let options = options(125, max_gap);
        Self { points, options, learnt: Learnt::default(), now: Instant::now(), refused: 0 }
    }

    fn round(&mut self, device: &Device, cause: Cause) -> Round {
        let mut round = Round::default();
        let mut queue = coalesce(&self.points, &self.options, &self.learnt, self.now);
        queue.reverse();
        let mut exchanges = 0;
        while let Some(block) = queue.pop() {
            exchanges += 1;
            assert!(exchanges < 2000, "it never ends");
            let ids = |points: &[Placed]| points.iter().map(|(id, _)| *id).collect::<Vec<_>>();
            if device.answers(&block) {
                round.answered += 1;
                round.good.extend(ids(&block.points));
                queue.extend(self.learnt.answered(&block, self.now));
            } else {
                let split = self.learnt.failed(&block, cause, &self.options, self.now);
                round.failed += usize::from(split.given_up.is_empty());
                round.bad.extend(ids(&split.given_up));
                queue.extend(split.again.into_iter().rev());
            }
        }
        round.good.sort();
        round.good.dedup();
        round.bad.sort();
        round
    }

    /// A round of what does not rest: how many points it brings.
    fn poll(&mut self, device: &Device) -> usize {
        let all = self.points.clone();
        let (learnt, now) = (&self.learnt, self.now);
        self.points.retain(|(_, point)| !learnt.rests(point, now));
        let round = self.round(device, Cause::Refused);
        self.points = all;
        self.refused = round.bad.len();
        round.good.len()
    }

    /// The points that can be read at all.
    fn healthy(&self, device: &Device) -> Vec<PointId> {
        let mut healthy: Vec<_> = self
            .points
            .iter()
            .filter(|placed| device.answers(&Block::of(&[**placed]).unwrap()))
            .map(|(id, _)| *id)
            .collect();
        healthy.sort();
        healthy
    }
}

fn limited(longest: u32) -> Device {
    Device { holes: Vec::new(), longest, banks: Vec::new() }
}

fn with_holes(holes: &[u32]) -> Device {
    Device { holes: holes.to_vec(), ..limited(125) }
}

#[test]
fn a_hole_costs_no_neighbour_and_is_found_in_one_round() {
    let mut reader = Reader::new(singles(0..8), 8);
    let round = reader.round(&with_holes(&[5]), Cause::Refused);
    assert_eq!((round.good.len(), round.bad), (7, vec![PointId(5)]));
    let round = reader.round(&with_holes(&[5]), Cause::Refused);
    assert_eq!((round.good.len(), round.answered, round.failed, round.bad), (7, 2, 0, vec![PointId(5)]));
}

/// A device that starts, or is in the wrong mode, and refuses everything for minutes.
#[test]
fn after_it_has_refused_everything_a_device_is_read_as_before() {
    let mut reader = Reader::new(holding(&[(0, 1), (1, 1), (20, 1), (21, 1)]), 2);
    let (good, bad) = (with_holes(&[]), with_holes(&[0, 1, 20, 21]));
    for _ in 0..600 {
        reader.poll(&bad);
        reader.now += Duration::from_secs(1);
    }
    let mut seconds = 0;
    while reader.poll(&good) < 4 {
        reader.now += Duration::from_secs(1);
        seconds += 1;
        assert!(seconds <= 6, "it rests although another point is answered again");
    }
}

#[test]
fn a_hole_rests_longer_and_longer_while_others_are_answered() {
    let mut reader = Reader::new(holding(&[(0, 1), (1, 1), (20, 1), (21, 1)]), 2);
    let device = with_holes(&[21]);
    let mut tries = 0;
    for _ in 0..600 {
        tries += usize::from(reader.poll(&device) < 3) + reader.refused;
        reader.now += Duration::from_secs(1);
    }
    assert!(tries <= 12, "{tries}");
}

/// Somebody asks for a point that rests.
#[test]
fn a_point_that_is_read_on_demand_rests_no_more() {
    let mut reader = Reader::new(holding(&[(0, 1), (20, 1)]), 2);
    for _ in 0..100 {
        reader.poll(&with_holes(&[20]));
        reader.now += Duration::from_secs(5);
    }
    let resting = reader.points.remove(1);
    assert!(reader.learnt.rests(&resting.1, reader.now));
    reader.points = vec![resting];
    assert_eq!(reader.round(&with_holes(&[]), Cause::Refused).good, [PointId(1)]);
    assert!(!reader.learnt.rests(&resting.1, reader.now));
}

#[test]
fn a_hole_between_points_is_read_across_no_more() {
    let mut reader = Reader::new(holding(&[(0, 2), (4, 2), (6, 1), (10, 2)]), 8);
    let round = reader.round(&with_holes(&[3]), Cause::Refused);
    assert_eq!((round.good.len(), round.bad.len()), (4, 0));
    let round = reader.round(&with_holes(&[3]), Cause::Refused);
    assert_eq!((round.good.len(), round.answered, round.failed), (4, 2, 0));
}

#[test]
fn a_point_that_needs_a_hole_costs_none_that_overlaps_it() {
    let mut reader = Reader::new(holding(&[(0, 4), (0, 1), (1, 1)]), 8);
    for _ in 0..2 {
        let round = reader.round(&with_holes(&[2]), Cause::Refused);
        assert_eq!((round.good, round.bad), (vec![PointId(1), PointId(2)], vec![PointId(0)]));
    }
}

#[test]
fn the_greatest_length_is_found_to_a_register() {
    for longest in [1, 2, 7, 10, 31, 32, 33, 64, 100, 124] {
        let mut reader = Reader::new(singles(0..125), 8);
        for rounds in 0..4 {
            let round = reader.round(&limited(longest), Cause::Refused);
            assert_eq!(round.good.len(), 125, "at most {longest}");
            assert!(rounds == 0 || round.failed == 0, "at most {longest}");
            assert!(
                rounds == 0 || round.answered == 125usize.div_ceil(longest as usize),
                "at most {longest}"
            );
        }
    }
}

#[test]
fn thirty_two_registers_of_scattered_points() {
    let mut reader = Reader::new(holding(&(0..30).map(|at| (4 * at, 2)).collect::<Vec<_>>()), 8);
    for rounds in 0..4 {
        let round = reader.round(&limited(32), Cause::Refused);
        assert_eq!((round.good.len(), round.bad.len()), (30, 0));
        assert!(rounds == 0 || (round.answered, round.failed) == (4, 0), "{rounds}: {round:?}");
    }
}

#[test]
fn banks_that_are_not_read_across_are_found() {
    let device = Device { banks: vec![40, 90], ..limited(125) };
    let mut reader = Reader::new(singles(0..100), 8);
    for rounds in 0..4 {
        let round = reader.round(&device, Cause::Refused);
        assert_eq!((round.good.len(), round.bad.len()), (100, 0));
        assert!(rounds < 2 || (round.answered, round.failed) == (3, 0), "{rounds}: {round:?}");
    }
}

#[test]
fn what_has_healed_is_read_together_again() {
    let mut reader = Reader::new(singles(0..100), 8);
    let ill = Device { holes: vec![50], ..limited(32) };
    reader.round(&ill, Cause::Refused);
    reader.round(&ill, Cause::Refused);
    reader.now += Duration::from_secs(2 * 3600);
    for _ in 0..3 {
        let round = reader.round(&limited(125), Cause::Refused);
        assert_eq!(round.good.len(), 100);
    }
    assert_eq!(reader.round(&limited(125), Cause::Refused).answered, 1);
}

/// Each attempt that fails makes the pause before the next longer.
#[test]
fn a_finding_that_is_confirmed_is_tried_less_and_less() {
    let mut reader = Reader::new(singles(0..100), 8);
    let device = Device { holes: vec![50], ..limited(32) };
    let mut failures = Vec::new();
    for _ in 0..20 {
        failures.push(
            (0..100)
                .map(|_| {
                    reader.now += Duration::from_secs(10);
                    let round = reader.round(&device, Cause::Refused);
                    assert_eq!(round.good.len(), 99);
                    round.failed
                })
                .sum::<usize>(),
        );
    }
    assert!(failures[0] > failures[19] && failures[10..].iter().all(|count| *count <= 2), "{failures:?}");
}

#[test]
fn failures_that_pass_teach_nothing() {
    let mut reader = Reader::new(singles(0..20), 8);
    let round = reader.round(&with_holes(&[7]), Cause::Passing);
    assert_eq!((round.good.len(), round.bad), (19, vec![PointId(7)]));
    assert_eq!(reader.round(&with_holes(&[]), Cause::Passing).answered, 1);
}

#[test]
fn a_device_that_was_away_is_asked_for_what_it_refused() {
    let mut reader = Reader::new(singles(0..8), 8);
    reader.round(&with_holes(&[3]), Cause::Refused);
    let (_, place) = reader.points[3];
    assert!(reader.learnt.rests(&place, reader.now));
    reader.learnt.is_back(reader.now);
    assert!(!reader.learnt.rests(&place, reader.now));
    assert_eq!(reader.round(&with_holes(&[]), Cause::Refused).answered, 1);
}

fn any_device() -> impl Strategy<Value = Device> {
    let holes = prop::collection::vec(0u32..130, 0..4);
    let banks = prop::collection::vec(0u32..130, 0..2);
    (holes, prop_oneof![Just(125u32), 4u32..64], banks).prop_map(|(holes, longest, banks)| Device {
        holes,
        longest,
        banks,
    })
}

fn any_holding() -> impl Strategy<Value = Vec<Placed>> {
    prop::collection::vec((0u16..120, prop_oneof![Just(1u16), Just(2), Just(4)]), 1..40)
        .prop_map(|points| holding(&points))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn whatever_is_refused_no_healthy_point_is_lost_and_three_rounds_are_enough(
        points in any_holding(), max_gap in 0u16..10, device in any_device(), silent in any::<bool>(),
    ) {
        let cause = if silent { Cause::Silent } else { Cause::Refused };
        let mut reader = Reader::new(points, max_gap);
        let healthy = reader.healthy(&device);
        for rounds in 1..=6 {
            let round = reader.round(&device, cause);
            prop_assert_eq!(&round.good, &healthy, "round {}", rounds);
            prop_assert!(rounds <= 3 || round.failed == 0, "round {} still fails: {:?}", rounds, round);
        }
    }
}
