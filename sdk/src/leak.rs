//! Values that nobody frees.

/// Leaks `value` in a component: the instance ends with the call, so freeing memory is wasted work. It is for what lives until then
/// anyway, because memory of a call is bounded.
pub(crate) fn leak<T>(value: T) {
    #[cfg(target_arch = "wasm32")]
    std::mem::forget(value);
    #[cfg(not(target_arch = "wasm32"))]
    drop(value);
}
