//! Reading single records by their ids: what items come from, and what they are about to be written over.

use super::{out_of_time, Done, Run, LOCAL};
use crate::job::pool::Fetched;
use crate::job::run::check_kind;
use crate::store::ledger::{Row, Shape};
use crate::store::list::{self as store, Item};
use crate::store::transaction::{relaxed, short};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use sync_engine::core::{fingerprint, match_key, Comparison, EntityType, Listing, Record};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{At, Content, Task, Unreadable};

/// Ids in one question.
const IDS_PER_TASK: usize = 100;

/// Which record of which platform.
pub type Place = (String, EntityType, String);

/// Records to read, by platform and entity type.
pub type Wanted = BTreeMap<(String, EntityType), BTreeSet<String>>;

/// A record as it is now.
#[derive(Debug, Clone)]
pub struct Known {
    pub record: Record,
    pub fingerprint: String,
    pub modified_at: Option<String>,
}

impl Known {
    fn of(entity: EntityType, row: &Row) -> Result<Known> {
        let data: Map<String, Value> =
            serde_json::from_str(&row.json).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        Ok(Known {
            // by all fields: the ledger leaves out what the local table doesn't have
            fingerprint: fingerprint(Comparison::all(entity), &data).to_string(),
            record: Record {
                external_id: row.external_id.clone(),
                parent_id: row.parent_id.clone(),
                match_key: row.match_key.clone(),
                modified_at: None,
                data,
                withheld: Vec::new(),
            },
            modified_at: row.modified_at.clone(),
        })
    }

    fn local(entity: EntityType, id: String, mut data: Map<String, Value>) -> Known {
        data.retain(|_, value| !value.is_null());
        Known {
            fingerprint: fingerprint(Comparison::all(entity), &data).to_string(),
            record: Record {
                external_id: id,
                parent_id: None,
                match_key: match_key(entity, &data),
                modified_at: None,
                data,
                withheld: Vec::new(),
            },
            modified_at: None,
        }
    }
}

/// Records that were read, or why they could not be.
pub type Read = HashMap<Place, Result<Known>>;

/// A question by ids that is under way.
#[derive(Clone)]
pub struct Question {
    platform: String,
    entity: EntityType,
    list: Listing,
    ids: Vec<String>,
    /// The answer about the one id proves that it is gone.
    is_alone: bool,
}

impl Run<'_> {
    /// Opens the connectors of these items.
    pub(super) fn open(&mut self, items: &[Item]) {
        let platforms = items.iter().flat_map(platforms);
        self.remotes
            .open(platforms, &self.key.org, self.settings, &self.crew);
    }

    /// Whether its connectors can have such an item; it has failed where they can't: they may have been made, or it may have been
    /// written by an older version, after what is asked when an item is written.
    pub(super) fn fits(&mut self, item: &Item) -> bool {
        let mut remotes = platforms(item).filter_map(|name| self.remotes.usable(name).ok());
        let checked = remotes.try_for_each(|remote| check_kind(remote.kind, item.entity));
        checked.map_err(|error| self.failed(item, &error)).is_ok()
    }

    /// The records that items come from.
    pub(super) fn read_sources(&mut self, items: &[Item]) -> Result<Read> {
        let mut wanted = Wanted::new();
        for item in items {
            wanted
                .entry((item.source_platform.clone(), item.entity))
                .or_default()
                .insert(item.source_id.clone());
        }
        let (here, there): (Wanted, Wanted) = wanted
            .into_iter()
            .partition(|((platform, _), _)| platform == LOCAL);
        let mut read = self.read_all(&there)?;
        for ((_, entity), ids) in here {
            let ids: Vec<String> = ids.into_iter().collect();
            self.read_locally(entity, &ids, &mut read);
        }
        Ok(read)
    }

    /// Reads records of connectors, several questions at a time, and enters them into the ledger.
    pub(super) fn read_all(&mut self, wanted: &Wanted) -> Result<Read> {
        let mut read = Read::new();
        let mut questions = Vec::new();
        let mut asked = Vec::new();
        for ((platform, entity), ids) in wanted {
            match self.questions(platform, *entity, ids) {
                Ok(more) => questions.extend(more),
                Err(error) => refuse(&mut read, platform, *entity, ids, &error),
            }
        }
        while self.goes_on(questions.is_empty()) {
            while let Some(question) = questions.pop_if(|_| self.crew.free() > 0 && !self.is_late()) {
                match self.ask(&question) {
                    Ok(true) => asked.push(question),
                    Ok(false) => self.is_over = true,
                    Err(error) => {
                        let Question {
                            platform,
                            entity,
                            ids,
                            ..
                        } = &question;
                        refuse(&mut read, platform, *entity, ids, &error);
                    }
                }
            }
            if self.crew.is_idle() {
                continue;
            }
            match self.crew.next(self.deadline)? {
                Some(Done::Read(question, outcome)) => {
                    questions.extend(self.take_in(&question, *outcome, &mut read));
                }
                Some(_) => {}
                None => break,
            }
        }
        // what was not even asked has not failed
        for Question {
            platform,
            entity,
            ids,
            ..
        } in &asked
        {
            refuse(&mut read, platform, *entity, ids, &out_of_time());
        }
        Ok(read)
    }

    /// Reads records of this database. An id that can't be one of the relation's keys fails alone.
    pub(super) fn read_locally(&self, entity: EntityType, ids: &[String], read: &mut Read) {
        match short(|| store::local_records(&self.key.org, entity, ids)) {
            Ok(records) => {
                for (id, data) in records {
                    let known = Known::local(entity, id.clone(), data);
                    read.insert((LOCAL.to_owned(), entity, id), Ok(known));
                }
                let gone = format!("there is no local {} with this id (any more)", entity.singular());
                refuse(read, LOCAL, entity, ids, &Error::new(Code::NotFound, gone));
            }
            Err(_) if ids.len() > 1 => {
                for id in ids {
                    self.read_locally(entity, std::slice::from_ref(id), read);
                }
            }
            Err(error) => refuse(read, LOCAL, entity, ids, &error),
        }
    }

    fn questions(&self, platform: &str, entity: EntityType, ids: &BTreeSet<String>) -> Result<Vec<Question>> {
        let remote = self.remotes.usable(platform)?;
        let number = remote.connector.number;
        let ids: Vec<String> = ids.iter().cloned().collect();
        let parents: HashMap<String, String> = short(|| store::parents(&self.key.org, number, entity, &ids))?
            .into_iter()
            .collect();
        let mut lists: BTreeMap<Listing, Vec<String>> = BTreeMap::new();
        for id in ids {
            let list = remote
                .source
                .list_of(entity, parents.get(&id).map(String::as_str));
            lists.entry(list).or_default().push(id);
        }
        let chunk = |list: &Listing, ids: &[String]| Question {
            platform: platform.to_owned(),
            entity,
            list: list.clone(),
            ids: ids.to_vec(),
            is_alone: false,
        };
        Ok(lists
            .iter()
            .flat_map(|(list, ids)| ids.chunks(IDS_PER_TASK).map(|ids| chunk(list, ids)))
            .collect())
    }

    /// Sends a question; false where there is no time left for it.
    fn ask(&mut self, question: &Question) -> Result<bool> {
        let org = &self.key.org;
        if !self
            .remotes
            .take(&question.platform, org, &self.crew, self.deadline)?
        {
            return Ok(false);
        }
        let remote = self.remotes.usable(&question.platform)?;
        let (source, entity) = (remote.source.clone(), question.entity);
        let shape = short(|| remote.ledger(org, entity).shape())?;
        let task = Task {
            list: question.list.clone(),
            content: Content::Full,
            since: None,
            at: match question.ids.as_slice() {
                [id] if question.is_alone => At::Alone(id.clone()),
                ids => At::Ids(ids.to_vec()),
            },
        };
        let question = question.clone();
        self.crew.submit(
            move || {
                let fetched = Fetched::new(&shape, source.fetch(entity, &task)?)?;
                Ok((fetched, shape))
            },
            move |outcome| Done::Read(question, Box::new(outcome)),
        )?;
        Ok(true)
    }

    /// What asks for records alone that a list of ids lacks, where that proves nothing: one that a plugin hides is not to
    /// be created again.
    fn alone(&self, question: &Question, lacking: Vec<String>) -> Result<Vec<Question>> {
        if question.is_alone {
            return Ok(Vec::new());
        }
        let remote = self.remotes.usable(&question.platform)?;
        let (number, entity) = (remote.connector.number, question.entity);
        let parents: HashMap<String, String> =
            short(|| store::parents(&self.key.org, number, entity, &lacking))?
                .into_iter()
                .collect();
        let ask = |id: String| {
            let parent = parents.get(&id).map(String::as_str);
            Some(Question {
                list: remote.source.alone(entity, parent)?,
                ids: vec![id],
                is_alone: true,
                ..question.clone()
            })
        };
        Ok(lacking.into_iter().filter_map(ask).collect())
    }

    /// Enters what a question brought; what has to be asked next.
    fn take_in(
        &mut self,
        question: &Question,
        outcome: Result<(Fetched, Shape)>,
        read: &mut Read,
    ) -> Vec<Question> {
        let Question {
            platform,
            entity,
            ids,
            ..
        } = question;
        let requests = outcome.as_ref().map_or(1, |(fetched, _)| fetched.batch.requests);
        self.remotes
            .note(platform, *entity, &self.key.org, requests, &outcome);
        let stored = outcome.and_then(|(fetched, shape)| {
            let ledger = self.remotes.opened(platform)?.ledger(&self.key.org, *entity);
            let counts = relaxed(|| {
                if ledger.shape_held()?.comparison != shape.comparison {
                    return Err(Error::new(
                        Code::Locked,
                        "what is compared was changed while the record was read",
                    ));
                }
                ledger.upsert(false, &fetched.rows)
            })?;
            if counts.inserted + counts.updated > 0 {
                self.touched.insert((platform.clone(), *entity));
            }
            Ok(fetched)
        });
        match stored {
            Ok(Fetched { rows, batch }) => {
                for Unreadable { id, reason } in batch.unreadable {
                    let why = Error::new(Code::Nonsense, "the record can't be read").detail(reason);
                    read.insert((platform.clone(), *entity, id), Err(why));
                }
                for row in &rows {
                    let place = (platform.clone(), *entity, row.external_id.clone());
                    read.insert(place, Known::of(*entity, row));
                }
                for id in batch.hidden {
                    let why = "the connector's user may not see this record, or it is gone";
                    read.insert(
                        (platform.clone(), *entity, id),
                        Err(Error::new(Code::Nonsense, why)),
                    );
                }
                let is_open = |id: &&String| !read.contains_key(&(platform.clone(), *entity, (*id).clone()));
                let lacking: Vec<String> = ids.iter().filter(is_open).cloned().collect();
                match self.alone(question, lacking) {
                    Ok(next) if !next.is_empty() => return next,
                    Ok(_) => {}
                    Err(error) => refuse(read, platform, *entity, ids, &error),
                }
                let gone = Error::new(
                    Code::NotFound,
                    format!(
                        "\"{platform}\" has no {} with this id (any more)",
                        entity.singular()
                    ),
                );
                refuse(read, platform, *entity, ids, &gone);
            }
            Err(error) => refuse(read, platform, *entity, ids, &error),
        }
        Vec::new()
    }
}

/// The names of the connectors that an item comes from and goes to.
fn platforms(item: &Item) -> impl Iterator<Item = &str> {
    [&item.source_platform, &item.target_platform]
        .into_iter()
        .map(String::as_str)
        .filter(|name| *name != LOCAL)
}

/// Notes an error for all that has no answer yet.
fn refuse<'i>(
    read: &mut Read,
    platform: &str,
    entity: EntityType,
    ids: impl IntoIterator<Item = &'i String>,
    error: &Error,
) {
    for id in ids {
        read.entry((platform.to_owned(), entity, id.clone()))
            .or_insert_with(|| Err(error.clone()));
    }
}
