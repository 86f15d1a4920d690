//! Plays that were broken once, with the parts that were needed for it.

use std::collections::BTreeSet;

use backstay_sim::{Kept, Part, in_thread, play, ready};

/// What was wrong, the seed, and the parts. What changes what a seed means makes these plays others: then they go, and the tests of the
/// controller stay that each defect has.
const FOUND: [(&str, u64, &str); 6] = [
    (
        "what was remembered of a refused slot stayed when its Plan was deleted while it was reconciled",
        586,
        "a0,a1,a3,a4,f17,f52,f84",
    ),
    (
        "a run was deleted before its Job was recorded, and its Job was made again",
        109747,
        "a0,a1,a3,a9,f15,f17,f18,f34,f41,f54,f58",
    ),
    (
        "the creation of a Job arrived after the run, its Job and its end were gone",
        109690,
        "a0,a2,a3,a4,a5,f5,f10,f19,f20,f23,f24,f28,f29,f44,f48,f60",
    ),
    (
        "the creation of a Backup arrived after the Backup had been made, deleted and cleaned up after",
        108530,
        "a0,a2,f21,f22,f36,f43,f52,f70",
    ),
    (
        "two plays differed: one of them made what a process makes once",
        102295,
        "a0,a1,a3,a5,a7,a8,a10,a11,a13,a19,a22,f54,f59,f70,f80,f87,f93,f95,f96,f108,f109,f111,f113,f115,f119,f120,f122,f151,f166,f179,f181,f184,f189,f194,f196,f197,f200,f212",
    ),
    (
        "a controller whose call hung made the Backup of a run again that another had ended and whose Backup was deleted",
        2090,
        "a0,a2,a4,f0,f7,f10,f11,f29,f30,f31,f33,f39,f52,f153,f199,f201,f207,f212,f215",
    ),
];

#[test]
fn what_was_broken_once_stays_right_and_a_play_is_the_same_each_time() {
    let base = ready();
    for (what, seed, parts) in FOUND {
        let parts: BTreeSet<Part> = parts.split(',').map(|part| part.parse().expect("a part")).collect();
        let kept = Kept::Only(parts);
        let [first, second] = [(); 2].map(|()| in_thread(|| play(&base, seed, &kept, false, None)));
        assert_eq!((first.digest, first.events), (second.digest, second.events), "{what}: two plays differ");
        assert!(first.broken.is_empty(), "{what}: {:?}", first.broken);
        assert!(first.events > 100 && first.runs > 2, "{first:?}");
    }
}
