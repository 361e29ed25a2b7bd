//! Verifying: what a pass has proven, and what it has not.

use super::state::ask_for;
use super::Pull;
use crate::job::pool::Fetched;
use crate::store::run as runs;
use crate::store::sweep::{End, Gap, Missing, Told};
use crate::store::transaction::{short, yielding};
use chrono::Utc;
use std::collections::{BTreeMap, HashSet};
use sync_engine::core::{Listing, Series};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{At, Batch, Content, Source, Task};

/// Records not met that are asked after at once.
const ASK_AT_MOST: i32 = 10_000;
/// Rounds of closing gaps before a listing is given up as one that never stands still.
const GAP_ROUNDS: usize = 12;
/// So many places are read anew at first where more has moved than a window holds, or one window's.
const LOOK_BACK: u64 = 100;
/// Stands for a listing of what was asked for by id: a sweep has met it.
const ASKED: &str = "asked";

impl Pull<'_> {
    /// Proves that everything was met, or finds what was not.
    pub(super) fn verify(&mut self) -> Result<()> {
        self.close_gaps()?;
        self.compare_counts()?;
        self.check_ends()?;
        self.check_seams()?;
        let mut swept = self.state.sweeps.clone();
        swept.extend(short(|| self.ledger.child_lists())?);
        self.settle_missing(&swept)
    }

    /// Reads between windows that don't overlap until all do.
    fn close_gaps(&mut self) -> Result<()> {
        for round in 0..GAP_ROUNDS {
            let gaps = short(|| self.ledger.gaps())?;
            if gaps.is_empty() {
                return Ok(());
            }
            let mut tasks = HashSet::new();
            for gap in gaps {
                let at = places(&gap, self.state.stride, round).into_iter();
                tasks.extend(at.map(|at| self.more_of(&gap.series, at)));
                self.state.moved.insert(gap.series);
            }
            self.state.stack.push(tasks);
            self.read_all()?;
        }
        Err(self.start_over(
            Error::new(
                Code::Nonsense,
                "the remote's listing kept changing while it was read",
            )
            .detail(format!(
                "Neighbouring pages still did not fit together after {GAP_ROUNDS} rounds."
            ))
            .hint("Try again at a quieter time; nothing was marked as deleted."),
        ))
    }

    /// What was read proves nothing, and would prove nothing to a pull that went on from it: the next one reads anew.
    pub(super) fn start_over(&self, error: Error) -> Error {
        // the error is the one to tell, even where this fails too
        let _ = short(|| {
            self.ledger.clear_windows()?;
            runs::drop_checkpoint(&self.context.key, self.ledger.entity)
        });
        error
    }

    /// After a pass over changes only: where the remote's count and the ledger's differ, all ids are read. Also where
    /// records were hidden: what changed meanwhile has an older date than this pass asks for; and where lines of documents
    /// are gone: that changes no date at all. Rows that the remote counts and doesn't show are expected to be as many as
    /// ever; where some of them are new, they could make up for as many deletions.
    fn compare_counts(&mut self) -> Result<()> {
        let unswept: Vec<Listing> = self
            .state
            .lists
            .iter()
            .filter(|l| !self.state.sweeps.contains(l))
            .cloned()
            .collect();
        let lost_lines = !unswept.is_empty() && self.lost_lines()?;
        for list in unswept {
            let first = Task {
                list: list.clone(),
                content: Content::Ids,
                since: None,
                at: At::Offset(0),
            };
            let of_children = self.pool.source().children(self.ledger.entity) == Some(list.name());
            let known = short(|| self.ledger.live_count(of_children))?;
            let unlisted = self.unlisted_in(&list);
            let expected =
                (self.unshown.get(&list)).map(|unshown| (known + unshown).saturating_sub(unlisted));
            let total = self.total(&first)?;
            let agrees = expected.is_some() && total == expected;
            if agrees && !self.had_hidden && !lost_lines && !short(|| self.ledger.has_unshown_changes(&list))?
            {
                continue;
            }
            self.state.sweeps.push(list);
            let batch = self.ask(first.clone())?;
            self.store(vec![(first, Fetched::new(&self.shape, batch)?)])?;
            self.read_all()?;
            self.close_gaps()?;
        }
        Ok(())
    }

    /// A listing that is read by key ends with a page that isn't full, and that proves nothing: a host may give fewer rows than
    /// asked for. Where fewer came than were counted, and it isn't that some are gone by now, what comes behind such pages is
    /// asked for, as long as something does.
    fn check_ends(&mut self) -> Result<()> {
        for list in self.state.sweeps.clone() {
            let series = Series::whole(&list);
            let announced = self.state.totals.get(&series).copied().unwrap_or_default();
            let seen = short(|| self.ledger.seen_by_key(&list))?;
            if seen.is_none_or(|seen| seen >= announced) {
                continue;
            }
            let total = self.total(&self.more_of(&series, At::Offset(0)))?;
            let lacking = self.read_on(&list, total.unwrap_or(announced))?;
            self.short.insert(list, lacking);
        }
        Ok(())
    }

    /// Reads behind where a listing was taken to have ended, as long as something comes; how many rows it lacks yet.
    fn read_on(&mut self, list: &Listing, total: u64) -> Result<u64> {
        let mut before = None;
        loop {
            let seen = short(|| self.ledger.seen_by_key(list))?.unwrap_or_default();
            if seen >= total || before == Some(seen) {
                return Ok(total.saturating_sub(seen));
            }
            before = Some(seen);
            let ends = short(|| self.ledger.ends(list))?.into_iter();
            let at = ends.map(|End { after, until }| At::Range { after, until });
            let series = Series::whole(list);
            let tasks: Vec<Task> = at.map(|at| self.more_of(&series, at)).collect();
            self.state.stack.push(tasks);
            self.read_all()?;
        }
    }

    /// A task that reads more of a series, as the others of it do.
    fn more_of(&self, series: &Series, at: At) -> Task {
        let known = self.state.windows.get(series).copied();
        let (content, since) = known.unwrap_or((Content::Full, None));
        Task {
            list: series.listing().clone(),
            content,
            since,
            at,
        }
    }

    /// Where two windows share no record because the remote doesn't show the one that both hold, a deletion and a new
    /// record between the two readings would leave no trace: everything behind would be one place further to the left.
    /// Hence the left one is read again. How many rows are not shown can't be told where it has moved.
    fn check_seams(&mut self) -> Result<()> {
        for list in self.state.sweeps.clone() {
            let series = Series::whole(&list);
            for seam in short(|| self.ledger.seams(&list))? {
                if self.state.moved.contains(&series) {
                    break;
                }
                let question = Task {
                    list: list.clone(),
                    content: Content::Ids,
                    since: None,
                    at: At::Offset(seam.position),
                };
                let batch = self.ask(question)?;
                let now = batch.stubs.iter().map(|stub| &stub.external_id);
                if !now.eq(&seam.ids) {
                    self.state.moved.insert(series.clone());
                }
            }
        }
        Ok(())
    }

    /// One task by itself.
    fn ask(&mut self, task: Task) -> Result<Batch> {
        self.take_token()?;
        let entity = self.ledger.entity;
        let batch = self
            .pool
            .ask(move |source: &dyn Source| source.fetch(entity, &task))?;
        self.requests += u64::from(batch.requests);
        Ok(batch)
    }

    /// How many records the remote says a listing holds.
    fn total(&mut self, first: &Task) -> Result<Option<u64>> {
        self.take_token()?;
        let (entity, first) = (self.ledger.entity, first.clone());
        let counted = self
            .pool
            .ask(move |source: &dyn Source| source.count(entity, &first))?;
        self.requests += u64::from(counted.requests);
        Ok(counted.total)
    }

    /// Whether documents have lost lines without showing it.
    fn lost_lines(&mut self) -> Result<bool> {
        let (entity, before) = (self.ledger.entity, self.lines.clone());
        let lines = self
            .pool
            .ask(move |source: &dyn Source| source.lines(entity, before.as_ref()))?;
        let Some(lines) = lines else {
            return Ok(false);
        };
        self.requests += u64::from(lines.requests);
        self.lines = Some(lines.seal);
        Ok(lines.lost)
    }

    /// Marks what is gone, proven by the remote itself, id by id.
    fn settle_missing(&mut self, swept: &[Listing]) -> Result<()> {
        let before = self.take_unlisted(swept);
        let (source, entity) = (self.pool.source(), self.ledger.entity);
        let (own, children) = (source.list_of(entity, None), source.children(entity));
        let asked = Series::whole(&Listing::of(ASKED));
        for round in 0.. {
            let missing = short(|| self.ledger.missing(own.name(), children, swept, ASK_AT_MOST))?;
            if missing.is_empty() {
                return Ok(());
            }
            let is_known = |m: &Missing| {
                before
                    .get(&m.external_id)
                    .filter(|known| known.at > self.asked_since)
            };
            let (known, open): (Vec<_>, Vec<_>) = missing.into_iter().partition(|m| is_known(m).is_some());
            self.unlisted.extend(
                known
                    .iter()
                    .filter_map(|m| Some((m.external_id.clone(), is_known(m)?.clone()))),
            );
            let mut there = self.ask_after(open)?;
            there.extend(known.into_iter().map(|m| m.external_id));
            // met now, so that the next round asks for others
            let ids: Vec<&str> = there.iter().map(String::as_str).collect();
            let told = Told {
                end: true,
                ..Told::default()
            };
            short(|| self.ledger.note_window(&asked, round, true, told, ids))?;
        }
        Ok(())
    }

    /// What was known to be in none of these listings: what it is now, they have shown.
    fn take_unlisted(&mut self, swept: &[Listing]) -> BTreeMap<String, runs::Unlisted> {
        let all = std::mem::take(&mut self.unlisted).into_iter();
        let (before, others) = all.partition(|(_, known)| swept.contains(&known.list));
        self.unlisted = others;
        before
    }

    /// Asks for records by id and marks those that are gone; returns those that are not.
    fn ask_after(&mut self, mut missing: Vec<Missing>) -> Result<Vec<String>> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        self.answered.clear();
        // From another place each time: where very many are hidden, a source gives up telling them from deleted ones
        // before it has come to all.
        let begin = Utc::now().timestamp_subsec_nanos() as usize % missing.len().max(1);
        missing.rotate_left(begin);
        let mut by_list: BTreeMap<&Listing, Vec<String>> = BTreeMap::new();
        for record in &missing {
            by_list
                .entry(&record.list)
                .or_default()
                .push(record.external_id.clone());
        }
        for (list, ids) in by_list {
            self.state.stack.push(ask_for(list, &ids));
        }
        self.asks_unlisted = true;
        self.read_all()?;
        let is_there = |m: &Missing| self.answered.contains(&m.external_id);
        let (there, lacking): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_there);
        let mut there: Vec<String> = there.into_iter().map(|m| m.external_id).collect();
        let gone = match self.state.alone_at_most {
            None => lacking.into_iter().map(|m| m.external_id).collect(),
            Some(most) => self.ask_alone(lacking, most, &mut there)?,
        };
        self.deleted += yielding(|| self.ledger.mark_gone(&gone))?;
        Ok(there)
    }

    /// Asks for records one by one; returns those that are gone. What belongs to one of them goes with it, so it is asked for
    /// only after that has turned out to be there. What there is no question left for counts as there.
    fn ask_alone(
        &mut self,
        lacking: Vec<Missing>,
        most: usize,
        there: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        let ids: HashSet<String> = lacking.iter().map(|m| m.external_id.clone()).collect();
        let is_part = |m: &Missing| m.parent_id.as_ref().is_some_and(|parent| ids.contains(parent));
        let (parts, mut asked): (Vec<_>, Vec<_>) = lacking.into_iter().partition(is_part);
        if asked.is_empty() {
            asked = parts;
        }
        let unasked = asked.split_off(asked.len().min(most.saturating_sub(self.asked_alone)));
        self.asked_alone += asked.len();
        self.unasked += unasked.len();
        there.extend(unasked.into_iter().map(|m| m.external_id));
        self.answered.clear();
        let entity = self.ledger.entity;
        let tasks: Vec<Task> = asked
            .iter()
            .map(|m| Task {
                list: (self.pool.source().alone(entity, m.parent_id.as_deref()))
                    .unwrap_or_else(|| m.list.clone()),
                content: Content::Full,
                since: None,
                at: At::Alone(m.external_id.clone()),
            })
            .collect();
        self.state.stack.push(tasks);
        self.read_all()?;
        let is_there = |m: &Missing| self.answered.contains(&m.external_id);
        let (alive, gone): (Vec<_>, Vec<_>) = asked.into_iter().partition(is_there);
        for Missing {
            external_id, list, ..
        } in alive
        {
            there.push(external_id.clone());
            // what was refused, or broke down, is told as that, and may answer next time
            if !self.refused.contains(&external_id) {
                let at = Utc::now();
                self.unlisted.insert(external_id, runs::Unlisted { list, at });
            }
        }
        Ok(gone.into_iter().map(|m| m.external_id).collect())
    }
}

/// Where to read so that a gap closes. One window in between does, unless more has moved than a window holds: then
/// the windows on the left are older than the change, nobody knows how many, and twice as many are read anew in each
/// round.
fn places(gap: &Gap, stride: Option<u64>, round: usize) -> Vec<At> {
    // the last row that the window on the left can have shown
    let last = gap.reach.saturating_sub(1).max(gap.left);
    let Some(right) = gap.right else {
        // the end was not reached: go on behind the last window
        return vec![At::Tail(last.max(gap.left + 1))];
    };
    if gap.reach <= right {
        // it was shorter than it was meant to be; where that doesn't do, the one on the right is the older one
        let on = At::Until {
            offset: last,
            until: right,
        };
        let again = (round > 0).then_some(At::Offset(right));
        return std::iter::once(on).chain(again).collect();
    }
    if round == 0 && right > gap.left + 1 {
        return vec![At::Offset((gap.left + right) / 2)];
    }
    let windows = |stride: u64| (LOOK_BACK / stride).max(1) * ((1 << round.saturating_sub(1)) - 1);
    match stride.map(|stride| (stride, windows(stride))) {
        // in their old places, so that each takes that of an older one
        Some((stride, windows)) if gap.left > stride * windows => {
            let left = (0..=windows).rev().map(|n| gap.left - n * stride);
            left.chain([right]).map(At::Offset).collect()
        }
        // all further windows follow from the first
        _ => vec![At::Offset(0)],
    }
}
