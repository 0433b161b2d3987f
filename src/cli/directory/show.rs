//! What the directory says of a code, and of a way.

use serde_json::{Map, Value, json};

use super::RouteOptions;
use super::place::{Place, code, day, unknown};
use crate::cli::Output;
use crate::cli::exit::{Exit, Failure};
use crate::clock::Date;
use crate::directory::{Directory, Ending, of_word};
use crate::document::Urgency;
use crate::proto::v1;
use crate::routing::{self, Question};
use crate::service::{wire_agency, wire_date, wire_explanation, wire_urgency};

pub(super) async fn show(
    place: &Place,
    named: Option<String>,
    at: Option<String>,
    output: Output,
) -> Result<Exit, Failure> {
    let today = day(at.as_deref())?;
    if let Some(directory) = place.file()? {
        match named {
            None => directory.agencies().for_each(|one| print(&wire_agency(one), output)),
            Some(named) => {
                let named = code(&named)?;
                let agency = directory.at(&named, today).ok_or_else(|| unknown(&named))?;
                print(&wire_agency(agency), output);
            }
        }
        return Ok(Exit::Ok);
    }
    let mut client = place.gateway().await?;
    if let Some(code) = named {
        let date = Some(wire_date(today));
        let found = client.get_agency(v1::GetAgencyRequest { code, date }).await?.into_inner();
        print(&found.agency.unwrap_or_default(), output);
        return Ok(Exit::Ok);
    }
    let mut page_token = String::new();
    loop {
        let request = v1::ListAgenciesRequest { below: String::new(), page_size: 0, page_token };
        let page = client.list_agencies(request).await?.into_inner();
        page.agencies.iter().for_each(|agency| print(agency, output));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

fn print(agency: &v1::Agency, output: Output) {
    let date = |date: &v1::Date| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
    let until = agency.valid_until.as_ref().map(date);
    if output == Output::Json {
        let value = json!({
            "code": agency.code,
            "code_qcvn": agency.code_qcvn,
            "name": agency.name,
            "level": agency.level,
            "parent": agency.parent,
            "kind": agency.kind,
            "valid_from": agency.valid_from.as_ref().map(date),
            "valid_until": until,
            "successors": agency.successors,
            "successor_scopes": agency.successor_scopes,
            "succession": agency.succession,
            "uncertain": agency.uncertain,
            "source": agency.source,
            "reachable": agency.reachable,
        });
        println!("{value}");
        return;
    }
    let closed = until.map(|day| format!(" (closed {day}: {})", agency.successors.join(", ")));
    println!("{:<12} {}{}", agency.code, agency.name, closed.unwrap_or_default());
}

pub(super) async fn succession(
    place: &Place,
    named: String,
    at: Option<String>,
    output: Output,
) -> Result<Exit, Failure> {
    let (code, today) = (code(&named)?, day(at.as_deref())?);
    let directory = match place.file()? {
        Some(directory) => directory,
        None => super::exchange::latest_of(place).await?,
    };
    let chain = directory.chain(&code, today).ok_or_else(|| unknown(&code))?;
    let ending = match &chain.ending {
        Ending::Open => "open",
        Ending::NotYet => "not-yet",
        Ending::Forward(_) => "forward",
        Ending::Closed { .. } => "closed",
    };
    let successors = match chain.ending {
        Ending::Forward(_) | Ending::Closed { .. } => chain.successors_line(),
        Ending::Open | Ending::NotYet => String::new(),
    };
    let successors: Vec<_> = successors.split(',').filter(|code| !code.is_empty()).collect();
    if output == Output::Json {
        let passed = |agency: &&crate::directory::Agency| {
            json!({
                "code": agency.code.as_str(),
                "valid_until": agency.valid_until.map(|date| date.to_string()),
                "succession": agency.succession.word(),
                "uncertain": agency.uncertain,
                "successors": agency.successors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        };
        let value = json!({
            "code": chain.named.code.as_str(),
            "date": today.to_string(),
            "ending": ending,
            "successors": successors,
            "passed": chain.passed.iter().map(passed).collect::<Vec<_>>(),
        });
        println!("{value}");
        return Ok(Exit::Ok);
    }
    for agency in &chain.passed {
        let rule = if agency.uncertain { "uncertain" } else { agency.succession.word() };
        let until = agency.valid_until.map(|date| date.to_string()).unwrap_or_default();
        let next: Vec<_> = agency.successors.iter().map(ToString::to_string).collect();
        println!("{:<12} closed {until}, {rule}: {}", agency.code, next.join(", "));
    }
    println!("{:<12} {ending} on {today} {}", chain.named.code, successors.join(", "));
    Ok(Exit::Ok)
}

pub(super) async fn route(options: RouteOptions, output: Output) -> Result<Exit, Failure> {
    let today = day(options.at.as_deref())?;
    let urgency = options.urgency.as_deref().and_then(|word| of_word(Urgency::WORDS, word));
    let explained = match options.place.file()? {
        Some(directory) => explain(&directory, &options, today, urgency)?,
        None => {
            let request = v1::ExplainRouteRequest {
                from: options.from.clone(),
                to: options.to.clone(),
                date: Some(wire_date(today)),
                type_name: options.r#type.clone(),
                urgency: urgency.map_or(v1::Urgency::Unspecified, wire_urgency).into(),
            };
            options.place.gateway().await?.explain_route(request).await?.into_inner()
        }
    };
    print_route(&explained, output);
    Ok(if explained.reason.is_empty() { Exit::Ok } else { Exit::NotFound })
}

fn explain(
    directory: &Directory,
    options: &RouteOptions,
    today: Date,
    urgency: Option<Urgency>,
) -> Result<v1::ExplainRouteResponse, Failure> {
    let (from, to) = (code(&options.from)?, code(&options.to)?);
    let question = Question { today, type_name: &options.r#type, urgency };
    Ok(wire_explanation(routing::explain(directory, question, &from, &to)))
}

fn print_route(explained: &v1::ExplainRouteResponse, output: Output) {
    if output == Output::Json {
        let values = |values: &std::collections::HashMap<String, String>| -> Map<String, Value> {
            let sorted: std::collections::BTreeMap<_, _> = values.iter().collect();
            sorted.into_iter().map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        let step = |step: &v1::RouteStep| json!({ "step": step.step, "values": values(&step.values), "text": step.text });
        let value = json!({
            "steps": explained.steps.iter().map(step).collect::<Vec<_>>(),
            "recipient": explained.recipient,
            "addressed": explained.addressed,
            "system": explained.system,
            "gateway": explained.gateway,
            "reason": explained.reason,
            "message": explained.message,
            "metadata": values(&explained.metadata),
        });
        println!("{value}");
        return;
    }
    for (index, step) in explained.steps.iter().enumerate() {
        println!("{}. {}", index + 1, step.text);
    }
    match explained.reason.as_str() {
        "" => println!("to {}", explained.recipient),
        reason => println!("{reason}: {}", explained.message),
    }
}
