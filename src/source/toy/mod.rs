//! The smallest kind that there can be: one listing, one page, nothing to find out. It shows what a kind has to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::kind::{Config, Kind, Verb};
use super::settings::{Form, Given, Setting};
use super::webhook::{Headers, Notice};
use super::{At, Batch, Content, Pass, Plan, Probe, Source, Task};
use crate::core::{EntityType, Listing, Record};
use crate::error::Result;
use chrono::Utc;
use reqwest::Url;
use serde_json::{json, Map, Value};

pub struct Toys;

pub static KIND: Toys = Toys;

impl Kind for Toys {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn entities(&self) -> &'static [EntityType] {
        &[EntityType::Products]
    }

    fn fields(&self, entity: EntityType) -> &'static [&'static str] {
        match entity {
            EntityType::Products => &["sku", "name"],
            _ => &[],
        }
    }

    fn carried(&self, _entity: EntityType) -> &'static [&'static str] {
        &[]
    }

    fn writes(&self, _entity: EntityType) -> &'static [Verb] {
        &[]
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting {
            name: "boxes",
            form: Form::Whole {
                least: 1,
                most: 9,
                default: Some(2),
            },
            about: "how many there are",
        }]
    }

    fn credentials(&self) -> &'static [Setting] {
        &[Setting {
            name: "word",
            form: Form::Text(None),
            about: "the magic word",
        }]
    }

    fn validate(&self, base_url: &Url, _settings: &Given, credentials: &Given) -> Result<String> {
        credentials.required("word", "Say please.")?;
        Ok(base_url.to_string())
    }

    fn open(&self, _config: Config, settings: &Given, _credentials: &Given) -> Result<Box<dyn Source>> {
        let boxes = settings.whole("boxes").unwrap_or_default();
        Ok(Box::new(Toy { boxes }))
    }

    fn read_webhook(&self, secret: Option<&str>, _headers: &Headers, _body: &str) -> Result<Notice> {
        secret.ok_or_else(|| super::webhook::no_secret("Give a webhook_secret."))?;
        Ok(Notice::Ignored { topic: String::new() })
    }
}

struct Toy {
    boxes: u64,
}

impl Source for Toy {
    fn probe(&self) -> Result<Probe> {
        unreachable!("nobody asks a toy how it is")
    }

    fn plan(&self, entity: EntityType, _pass: Pass) -> Result<Plan> {
        let list = Listing::of(entity.name());
        Ok(Plan {
            tasks: vec![Task {
                list: list.clone(),
                content: Content::Full,
                since: None,
                at: At::Offset(0),
            }],
            sweeps: true,
            lists: vec![list],
            stride: None,
            alone_at_most: None,
            server_time: Utc::now(),
            requests: 0,
        })
    }

    fn fetch(&self, entity: EntityType, _task: &Task) -> Result<Batch> {
        let record = |n: u64| {
            let data: Map<String, Value> = [("sku".to_owned(), json!(format!("box-{n}")))].into_iter().collect();
            Record::new(entity, n.to_string(), data)
        };
        Ok(Batch {
            records: (1..=self.boxes).map(record).collect(),
            total: Some(self.boxes),
            end: true,
            ..Batch::default()
        })
    }

    fn memo(&self) -> Value {
        Value::Null
    }
}

#[test]
fn a_kind_is_its_folder_and_a_line() {
    let kind: super::ConnectorKind = "toy".parse().unwrap();
    let (url, keys) = ("https://toys.example", json!({"word": "please"}));
    super::validate(kind, url, &json!({"boxes": 3}), &keys, &[]).unwrap();
    assert!(super::validate(kind, url, &json!({"boxes": 10}), &keys, &[]).is_err());
    assert!(super::validate(kind, url, &Value::Null, &Value::Null, &[]).is_err());
    assert_eq!(kind.described_settings()["boxes"]["default"], 2);
    let source = super::open(kind, url, &json!({"boxes": 3}), &keys, &Value::Null, super::HttpSettings::default()).unwrap();
    let plan = source.plan(EntityType::Products, Pass::Full).unwrap();
    let batch = source.fetch(EntityType::Products, &plan.tasks[0]).unwrap();
    let ids: Vec<_> = batch.records.iter().map(|record| record.external_id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    // what it doesn't say is read only
    assert!(source.draft(EntityType::Products, &Map::new(), None).is_err());
}
