#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use crate::core::EntityType;
use crate::error::Code;
use crate::source::ConnectorKind;
use crate::source::webhook::Notice;
use serde_json::json;

fn kind() -> ConnectorKind {
    "odoo".parse().unwrap()
}

#[test]
fn a_post_of_odoo_is_a_hint_where_the_token_is_right() {
    let post = |token: &str, body: &str| {
        kind().notice(
            &json!({ "webhook_secret": "s3cret" }),
            &json!({ "X-Webhook-Token": token }),
            body,
        )
    };
    let order = r#"{"_action": "Send(#4)", "_id": 14, "_model": "sale.order", "name": "S00014"}"#;
    for wrong in ["", "s3cre", "s3cret1", "S3CRET"] {
        let error = post(wrong, order).unwrap_err();
        assert_eq!(error.code, Code::NotGranted, "{wrong}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
    let hint = |topic: &str, entities, id: &str| {
        Ok(Notice::Hint {
            topic: topic.to_owned(),
            entities,
            external_id: id.to_owned(),
        })
    };
    assert_eq!(
        post("s3cret", order),
        hint("sale.order", &[EntityType::Orders, EntityType::Sales], "14")
    );
    assert_eq!(
        post("s3cret", r#"{"_model": "res.partner", "id": 3}"#),
        hint("res.partner", &[EntityType::Customers], "3")
    );
    assert!(matches!(
        post("s3cret", r#"{"_model": "mail.message", "_id": 3}"#),
        Ok(Notice::Ignored { .. })
    ));
    assert_eq!(
        post("s3cret", r#"{"_model": "res.partner"}"#).unwrap_err().code,
        Code::Invalid
    );
    assert_eq!(post("s3cret", "nonsense").unwrap_err().code, Code::Invalid);
}
