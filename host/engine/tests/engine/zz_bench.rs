use crate::guest::Guest;
use crate::requests::{ENGINE, request};
#[test]
fn bench() {
    let c = ENGINE.load(&Guest::pod().build()).unwrap();
    let r = request();
    let mut v: Vec<_> = (0..20000).map(|_| { let t = std::time::Instant::now(); c.render(&r, None).unwrap().value.unwrap(); t.elapsed() }).collect();
    v.sort();
    panic!("p50 {:?} p90 {:?} p99 {:?} max {:?}", v[10000], v[18000], v[19800], v[19999]);
}
