//! The speed of writes: batches, windows, and the learned rate of a service.

use crate::change::apply::tests::*;

#[test]
fn five_hundred_updates_go_out_in_full_batches_and_growing_windows() {
    let (tasks, set) = updates(500);
    let calm = Model::new(1, Weather::default(), &tasks);
    let outcome = simulate(&set, calm, ms(50), rules());
    assert_eq!((outcome.requests, outcome.largest), (25, 20));
    assert!(
        outcome.machine.ends().all(|(no, end)| *end == End::Done && outcome.machine.sent(no) == 1)
    );
    // Three batches at once, then more: five round trips where one at a time would take 25.
    assert!(outcome.took <= ms(250), "{:?}", outcome.took);
}

#[test]
fn a_single_change_is_no_batch_and_a_few_are_one() {
    for (n, requests) in [(1, 1), (2, 1), (20, 1), (21, 2), (30, 2)] {
        let (tasks, set) = updates(n);
        let outcome = simulate(&set, Model::new(1, Weather::default(), &tasks), ms(50), rules());
        assert_eq!(outcome.requests, requests, "{n}");
        assert_eq!(outcome.took, ms(50));
        assert_eq!(outcome.largest, n.div_ceil(requests), "of equal size");
    }
}

/// Services that throttle, by name, and how many writes to try them with.
fn services() -> Vec<(String, Weather, usize)> {
    let limited = |limit| Weather { limit: Some(limit), ..Weather::default() };
    let mut services = Vec::new();
    for (rate, n) in [(1.0, 60), (3.0, 75), (5.0, 125), (7.0, 500), (20.0, 500), (50.0, 500)] {
        services.push((format!("{rate}/s"), limited(Limit::per_second(rate)), n));
    }
    services.push(("100/s".into(), limited(Limit::per_second(100.0)), 500));
    for (per_second, burst) in [(20.0, 5.0), (20.0, 10.0), (20.0, 100.0), (10.0, 30.0), (7.0, 3.0)]
    {
        let name = format!("{per_second}/s, {burst} at once");
        services.push((name, limited(Limit::Bucket { per_second, burst }), 500));
    }
    for (writes, seconds, n) in [(200, 10.0, 500), (100, 10.0, 500), (50, 5.0, 500), (30, 10.0, 75)]
    {
        let name = format!("{writes} in {seconds} s");
        services.push((name, limited(Limit::Stretch { writes, seconds }), n));
    }
    for (before, after) in [(20.0, 5.0), (20.0, 10.0), (10.0, 20.0)] {
        let weather = limited(Limit::per_second(before));
        let later = Some((250, after));
        services.push((format!("{before}/s, then {after}/s"), Weather { later, ..weather }, 500));
    }
    services
}

/// Returns the least time that so many writes can take, in seconds.
fn floor(weather: &Weather, n: usize) -> f64 {
    let n = n as f64;
    match (weather.limit.unwrap(), weather.later) {
        (Limit::Bucket { per_second, burst }, Some((after, rate))) => {
            let after = f64::from(after);
            (after - burst) / per_second + (n - after) / rate
        }
        (Limit::Bucket { per_second, burst }, None) => (n - burst).max(0.0) / per_second,
        (Limit::Stretch { writes, seconds }, _) => n * seconds / f64::from(writes),
    }
}

fn spills(weather: &Weather) -> bool {
    matches!(weather.limit, Some(Limit::Bucket { per_second, burst }) if burst < per_second)
}

/// Few writes are sent again, never one before it was asked for, and hardly any time is lost.
#[test]
fn the_rate_of_a_service_is_learned() {
    each_service_is_learned(false);
}

#[test]
fn the_rate_of_a_service_is_learned_that_rounds_its_waits() {
    each_service_is_learned(true);
}

fn each_service_is_learned(whole_seconds: bool) {
    for (name, weather, n) in services() {
        let mut line = format!("{name:18}");
        for (latency, jitter) in [(1, false), (50, true), (200, false), (500, false)] {
            let (tasks, set) = updates(n);
            let weather = Weather { whole_seconds, jitter, ..weather };
            let outcome = simulate(&set, Model::new(1, weather, &tasks), ms(latency), rules());
            let at = format!("{name}, {latency} ms");
            assert!(outcome.machine.ends().all(|end| *end.1 == End::Done), "{at}");
            assert_eq!(outcome.early, 0, "{at}");
            // The first window is sent unwarned, which tells where there are few writes.
            let unwarned = if n < 500 { outcome.unwarned as f64 } else { 0.0 };
            let again = (outcome.machine.counts().0 as f64 - unwarned) / n as f64;
            let latency = ms(latency).as_secs_f64();
            let took = outcome.took.as_secs_f64();
            let least = floor(&weather, n).max(4.0 * latency) + latency;
            write!(line, " {:6.3} {:4.1}%", took / least, again * 100.0).unwrap();
            // Where answers overtake each other, more is under way when a burst is used up.
            let most = if jitter { 0.2 } else { 0.15 };
            assert!(again <= most, "{at}: {again} were sent again");
            // A wait that was rounded up is up to a second longer than need be, and where a burst
            // is less than that second brings, the rest of it spills over.
            let most = match (whole_seconds, spills(&weather)) {
                (false, _) => least / 0.9,
                (true, false) => least / 0.9 + outcome.refusals.min(3) as f64,
                (true, true) => least * 1.4,
            };
            assert!(took <= most, "{at}: {took} s of {least} s");
        }
        println!("{line}");
    }
}

/// The rounds of one run do not begin from nothing each time.
#[test]
fn what_was_learned_is_kept_for_the_next_round() {
    let (tasks, set) = updates(100);
    let weather = Weather { limit: Some(Limit::per_second(20.0)), ..Weather::default() };
    let first = simulate(&set, Model::new(1, weather, &tasks), ms(20), rules());
    assert!(first.unwarned >= 40, "{}", first.unwarned);
    let rules = Rules { learned: first.machine.learned(), ..rules() };
    let second = simulate(&set, Model::new(1, weather, &tasks), ms(20), rules);
    let again = second.machine.counts().0;
    assert!(again <= 5, "{again} were sent again");
    assert!(second.took <= Duration::from_secs(100) / 18, "{:?}", second.took);
}

#[test]
fn a_pace_that_a_person_asks_for_is_never_exceeded() {
    for (limit, again) in [(50.0, 0..1), (5.0, 1..30)] {
        let (tasks, set) = updates(200);
        let weather = Weather { limit: Some(Limit::per_second(limit)), ..Weather::default() };
        let rules = Rules { writes_per_second: Some(20), ..rules() };
        let outcome = simulate(&set, Model::new(1, weather, &tasks), ms(20), rules);
        assert!(outcome.took >= Duration::from_secs(9), "{:?}", outcome.took);
        assert!(again.contains(&outcome.machine.counts().0), "{:?}", outcome.machine.counts());
    }
}

/// One refusal that has no limit behind it costs a few seconds, not the pace of all that follows.
#[test]
fn a_single_refusal_is_forgotten() {
    let (tasks, set) = updates(2000);
    let weather = Weather { hiccup: Some(70), ..Weather::default() };
    let outcome = simulate(&set, Model::new(1, weather, &tasks), ms(50), rules());
    assert_eq!(outcome.machine.counts().0, 1);
    assert!(outcome.took <= Duration::from_secs(6), "{:?}", outcome.took);
}
