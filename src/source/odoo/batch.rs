//! Many at once: questions for several marks, and creations in one transaction of Odoo's.

use super::list;
use super::write::{mark, written, Prepared};
use super::Odoo;
use crate::core::{EntityType, Record};
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::in_turn::in_turn;
use crate::source::{Change, Written};
use std::time::Instant;

/// Marks in one question: each is a pattern, which Odoo compares with every row.
const MARKS: usize = 50;

impl Odoo {
    pub(super) fn finds_at_once(&self) -> usize {
        MARKS
    }

    /// [`Odoo::find_like`] for several records.
    pub(super) fn find_each(
        &self,
        entity: EntityType,
        records: &[Record],
        meter: &Meter,
    ) -> Vec<Result<Vec<Record>>> {
        let mut outcomes = Vec::with_capacity(records.len());
        for part in records.chunks(MARKS) {
            match self.find_part(entity, part, meter) {
                Ok(found) => outcomes.extend(found.into_iter().map(Ok)),
                // one that can't be read fails alone
                Err(error) if error.code == Code::Nonsense && part.len() > 1 => {
                    outcomes.extend(in_turn(part, |record| self.find_like(entity, record, meter)));
                }
                Err(error) => outcomes.extend(part.iter().map(|_| Err(error.clone()))),
            }
        }
        outcomes
    }

    fn find_part(&self, entity: EntityType, part: &[Record], meter: &Meter) -> Result<Vec<Vec<Record>>> {
        let marks: Vec<_> = part.iter().map(|record| mark(entity, record)).collect();
        let asked: Vec<_> = marks.iter().flatten().collect();
        let found = match asked.is_empty() {
            true => Vec::new(),
            false => self.find_marked(entity, &asked, meter)?,
        };
        let mut found = found.into_iter();
        let of = |is_marked: bool| if is_marked { found.next().unwrap_or_default() } else { Vec::new() };
        Ok(marks.iter().map(Option::is_some).map(of).collect())
    }

    /// Changes are made one by one: each has other values.
    pub(super) fn writes_at_once(&self, change: &Change) -> usize {
        match change.external_id {
            None => self.batch_size.get(),
            Some(_) => 1,
        }
    }

    /// [`Odoo::write_record`] for several changes.
    pub(super) fn write_each(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        let mut outcomes = Vec::with_capacity(changes.len());
        while let Some(change) = changes.get(outcomes.len()) {
            let left = &changes[outcomes.len()..];
            let is_new = |change: &&Change| change.external_id.is_none();
            let size = left.iter().take(self.batch_size.get()).take_while(is_new).count();
            match size {
                0 | 1 => outcomes.push(self.write_record(entity, change, meter)),
                _ => outcomes.extend(self.create_each(entity, &left[..size], meter)),
            }
        }
        outcomes
    }

    /// Creations of several records, of which Odoo makes all or none: where it refuses, each is tried alone.
    fn create_each(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        let prepared: Vec<Result<Prepared>> =
            changes.iter().map(|change| self.prepare(entity, change, meter)).collect();
        let vals: Vec<_> = prepared.iter().flatten().map(|one| one.vals.clone()).collect();
        let begun = Instant::now();
        let made = match vals.is_empty() {
            true => Ok(Vec::new()),
            false => self.create(list::model(entity).name, &vals, meter),
        };
        match made {
            Ok(ids) => {
                self.batch_size.note(changes.len(), begun.elapsed());
                self.made(entity, ids, prepared, meter)
            }
            Err(error) if error.leaves_open() => {
                self.batch_size.halve(changes.len());
                let outcome = |one: Result<Prepared>| Err(one.err().unwrap_or_else(|| Error::clone(&error)));
                prepared.into_iter().map(outcome).collect()
            }
            Err(_) => self.create_alone(entity, changes, meter),
        }
    }

    /// One by one, until it shows that the user may create none.
    fn create_alone(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        in_turn(changes, |change| self.write_record(entity, change, meter))
    }

    fn made(
        &self,
        entity: EntityType,
        ids: Vec<u64>,
        prepared: Vec<Result<Prepared>>,
        meter: &Meter,
    ) -> Vec<Result<Written>> {
        let records = match ids.is_empty() {
            true => Ok(Vec::new()),
            false => self.records_by_id(entity, &ids, meter),
        };
        let mut ids = ids.into_iter();
        let outcome = |one: Result<Prepared>| {
            let Prepared { notes, .. } = one?;
            Ok(written(ids.next().unwrap_or_default(), &records, notes))
        };
        prepared.into_iter().map(outcome).collect()
    }
}
