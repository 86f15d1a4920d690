//! Plays that were broken once, with the parts that were needed for it.

use std::collections::BTreeSet;

use backstay_sim::{Kept, Part, play, ready};

/// What was wrong, the seed, and the parts.
const FOUND: [(&str, u64, &str); 3] = [
    (
        "a Backup that was deleted and cleaned up after, before its run had recorded its end, was made anew of data that was gone",
        1035,
        "a0,a9,a12,a17,a20,a21,a24,a26,f2,f6,f7,f10,f13,f51,f72,f94,f106,f115,f116,f122,f123,f130",
    ),
    (
        "a checkpoint that could not be deleted at the end of its run stayed as long as the Backup",
        1130,
        "a0,a2,a3,a5,a7,a20,a22,a23,a24,f125,f229",
    ),
    ("a wait that began while the clock was ahead lasted as much longer", 5377, "a3,a6,f8,f38"),
];

#[test]
fn what_was_broken_once_stays_right() {
    let base = ready();
    for (what, seed, parts) in FOUND {
        let parts: BTreeSet<Part> = parts.split(',').map(|part| part.parse().expect("a part")).collect();
        let kept = Kept::Only(parts);
        let [first, second] = [(); 2].map(|()| {
            std::thread::scope(|scope| {
                let played = scope.spawn(|| play(&base, seed, &kept, false, None));
                played.join().expect("a play that ends")
            })
        });
        assert_eq!((first.digest, first.events), (second.digest, second.events), "{what}: two plays differ");
        assert!(first.broken.is_empty(), "{what}: {:?}", first.broken);
        assert!(first.events > 50 && first.runs > 1, "{first:?}");
    }
}
