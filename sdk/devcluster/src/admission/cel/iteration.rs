//! What macros go through, in an order that does not change.

use std::{collections::BTreeMap, sync::Arc};

use cel::common::value::{CowVal, Val};
use cel::objects::Key;
use cel::{ExecutionError, Value as Cel};

/// Returns the items of a list, or the keys of a map.
pub(super) fn items<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value] = <[CowVal<'b, 'v>; 1]>::try_from(arguments)
        .map_err(|_| ExecutionError::missing_argument_or_target())?;
    match Cel::try_from(value.as_ref())? {
        Cel::Map(map) => given(Cel::List(Arc::new(sorted(&map).into_iter().map(|(key, _)| key).collect()))),
        _ => Ok(value),
    }
}

/// Returns the keys of a map with their values, or the places of a list with its items.
pub(super) fn entries<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value] = <[CowVal<'b, 'v>; 1]>::try_from(arguments)
        .map_err(|_| ExecutionError::missing_argument_or_target())?;
    let pair = |(key, value)| Cel::List(Arc::new(vec![key, value]));
    match Cel::try_from(value.as_ref())? {
        Cel::Map(map) => given(Cel::List(Arc::new(sorted(&map).into_iter().map(pair).collect()))),
        Cel::List(items) => {
            let places = items
                .iter()
                .enumerate()
                .map(|(place, item)| (Cel::Int(i64::try_from(place).unwrap_or_default()), item.clone()));
            given(Cel::List(Arc::new(places.map(pair).collect())))
        }
        _ => Ok(value),
    }
}

fn given<'b, 'v>(value: Cel) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value: Box<dyn Val> =
        value.try_into().map_err(|_| ExecutionError::InternalError("a value".into()))?;
    Ok(CowVal::Owned(value))
}

fn sorted(map: &cel::objects::Map) -> Vec<(Cel, Cel)> {
    let order: BTreeMap<&Key, &Cel> = map.map.iter().collect();
    let key = |key: &Key| match key {
        Key::Int(number) => Cel::Int(*number),
        Key::Uint(number) => Cel::UInt(*number),
        Key::Bool(flag) => Cel::Bool(*flag),
        Key::String(text) => Cel::String(Arc::clone(text)),
    };
    order.into_iter().map(|(name, value)| (key(name), value.clone())).collect()
}
