//! The server as the protocol sees it: what each request comes to.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    Prompt, PromptArgument, PromptMessage, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Role, ServerCapabilities,
    ServerConfig, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::agent::{is_refusal, may_run};
use crate::app::error::AppError;
use crate::app::params::arguments::Arguments;
use crate::host::Failure;
use crate::mcp::answer::{Answer, told};
use crate::mcp::desk::Desk;
use crate::mcp::{board, change_set, propose, resources, run, submit, teach, tools, turned_away};

/// The interval at which it is looked whether something still waits.
const LOOK: Duration = Duration::from_millis(500);
/// The longest wait for a person's decision, in seconds.
const MAX_WAIT: u64 = 60;

/// One connection.
#[derive(Clone)]
pub(crate) struct Server {
    desk: Arc<Desk>,
    /// What has changed since this connection began, so that nothing between that and a subscription
    /// is missed.
    changes: watch::Receiver<bool>,
}

impl Server {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        let changes = desk.tool_changes();
        Self { desk, changes }
    }

    /// Does the work of a tool; `None` if there is no such tool.
    async fn call(
        &self,
        name: &str,
        arguments: Arguments,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<Answer, AppError>> {
        let desk = &self.desk;
        let done = match name {
            "run_script" => desk.work(context, |work| run::script(work, arguments)).await,
            "board" => desk.work(context, |work| board::board(work, arguments)).await,
            "find_tasks" => desk.work(context, |work| board::find(work, arguments)).await,
            "api" => api(arguments),
            "change_set" => self.change_set(arguments, context).await,
            "apply_change_set" => desk.work(context, |work| run::apply_set(work, arguments)).await,
            "submit" => desk.work(context, |work| submit::submit(work, arguments)).await,
            "undo_run" => desk.work(context, |work| run::undo(work, arguments)).await,
            "propose_skill" => desk.work(context, |work| propose::propose(work, arguments)).await,
            _ => {
                let skill = name.strip_prefix(tools::SKILL)?.to_owned();
                match self.desk.bundle().await {
                    // What the agent may not run is refused whether it is there or not.
                    Ok(bundle) => {
                        let workspace = &bundle.workspace;
                        if may_run(&workspace.config, Some(desk.agent()), &skill) {
                            workspace.skills.get(&skill)?;
                        }
                    }
                    Err(error) => return Some(Err(error)),
                }
                desk.work(context, move |work| run::skill(work, &skill, arguments)).await
            }
        };
        Some(done)
    }

    /// Records what was refused, and would be on no record otherwise.
    async fn note_refusal(
        &self,
        context: &RequestContext<RoleServer>,
        what: &str,
        failure: &Failure,
    ) {
        if !is_refusal(failure) {
            return;
        }
        let (desk, what, failure) = (Arc::clone(&self.desk), what.to_owned(), failure.clone());
        let recorded = self
            .desk
            .work(context, move |work| turned_away::record(work, &desk.refusals, &what, &failure));
        if let Err(error) = recorded.await {
            tracing::warn!(error = %error.failure.message, "a refusal is not on record");
        }
    }

    async fn change_set(
        &self,
        mut arguments: Arguments,
        context: &RequestContext<RoleServer>,
    ) -> Result<Answer, AppError> {
        let id = arguments.needed("id")?;
        let wait = arguments.number("wait_seconds", MAX_WAIT)?.unwrap_or(0);
        arguments.end()?;
        let until = Instant::now() + Duration::from_secs(wait);
        if wait > 0 {
            let of_wait = id.clone();
            let waiting =
                self.desk.work(context, move |work| change_set::waiting(work, &of_wait)).await?;
            if let Some(waiting) = waiting {
                wait_for(&waiting, until, context).await?;
            }
        }
        self.desk.work(context, move |work| change_set::show(work, &id)).await
    }
}

/// Waits until something does not wait for a person any more. It takes no room of other calls, and
/// each look is one small query.
async fn wait_for(
    waiting: &Arc<change_set::Waiting>,
    until: Instant,
    context: &RequestContext<RoleServer>,
) -> Result<(), AppError> {
    while Instant::now() < until {
        let looked = Arc::clone(waiting);
        let waits = tokio::task::spawn_blocking(move || looked.waits()).await;
        if !waits.unwrap_or(Ok(false))? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK.min(until.duration_since(Instant::now()))) => {}
            () = context.ct.cancelled() => return Ok(()),
        }
    }
    Ok(())
}

fn api(mut arguments: Arguments) -> Result<Answer, AppError> {
    let topic = arguments.text("topic")?;
    arguments.end()?;
    Ok(teach::api(topic.as_deref())?)
}

/// Returns whether the result of a tool is the report of a run.
fn is_run(name: &str) -> bool {
    name.starts_with(tools::SKILL) || matches!(name, "run_script" | "apply_change_set" | "undo_run")
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_prompts()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("planwright", env!("CARGO_PKG_VERSION")))
            .with_instructions(teach::INSTRUCTIONS)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        // Not before: what is started for the first run must not slow the first answer.
        self.desk.warm_up();
        self.desk.remember(context.peer);
    }

    // Clients of the protocol's revision 2026-07-28 subscribe to changes.
    fn accepted_subscription_filter(
        &self,
        _requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.clone();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = changes.changed() => {
                    let is_open = changed.is_ok() && *changes.borrow_and_update();
                    if !is_open || context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let bundle = self.desk.bundle().await.map_err(protocol_error)?;
        let tools = tools::of(&bundle, self.desk.agent());
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.to_string();
        let arguments = Arguments::new(request.arguments);
        let called = self.call(&name, arguments, &context).await;
        let Some(done) = called else {
            let message = format!("there is no tool `{name}`");
            return Err(ErrorData::invalid_params(message, None));
        };
        match &done {
            Err(error) => self.note_refusal(&context, &name, &error.failure).await,
            // A run of a paused agent does not even begin.
            Ok(answer) if answer.data["error"]["code"] == "paused" => {
                let text =
                    |name: &str| answer.data["error"][name].as_str().unwrap_or_default().to_owned();
                let (code, message) = (text("code"), text("message"));
                let failure = Failure { code, message, ..Failure::default() };
                self.note_refusal(&context, &name, &failure).await;
            }
            Ok(_) => {}
        }
        let answer = done.unwrap_or_else(|error| {
            if is_run(&name) {
                run::never_begun(self.desk.agent(), &name, error.failure)
            } else {
                Answer::failed(&error.failure)
            }
        });
        self.desk.shown.show(&context.peer, &answer);
        Ok(CallToolResult::from(answer).into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let plans = self.desk.work(&context, resources::plans).await.map_err(protocol_error)?;
        let plans = plans
            .into_iter()
            .map(|(address, title)| Resource::new(address, title).with_mime_type("text/plain"));
        let bundle = self.desk.bundle().await.map_err(protocol_error)?;
        let skills = resources::skills(&bundle, self.desk.agent());
        let skills = skills.into_iter().map(|(address, name, summary)| {
            Resource::new(address, name).with_description(summary).with_mime_type("text/plain")
        });
        Ok(ListResourcesResult::with_all_items(plans.chain(skills).collect()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = vec![
            ResourceTemplate::new(format!("{}{{id}}", resources::PLAN), "plan"),
            ResourceTemplate::new(format!("{}{{name}}", resources::SKILL), "skill"),
        ];
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let address = request.uri.clone();
        let read = self.desk.work(&context, move |work| resources::read(work, &address)).await;
        if let Err(error) = &read {
            self.note_refusal(&context, "resources/read", &error.failure).await;
        }
        let (text, kind) = read.map_err(protocol_error)?;
        let contents = ResourceContents::text(text, request.uri).with_mime_type(kind);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = teach::OFFERS.iter().map(|offer| {
            let (name, what) = offer.argument;
            let argument = PromptArgument::new(name).with_description(what).with_required(false);
            Prompt::new(offer.name, Some(offer.description), Some(vec![argument]))
        });
        Ok(ListPromptsResult::with_all_items(prompts.collect()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let offer = teach::OFFERS.iter().find(|offer| offer.name == request.name);
        let Some(offer) = offer else {
            let message = format!("there is no prompt `{}`", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let argument = arguments.get(offer.argument.0).and_then(|value| value.as_str());
        let message = PromptMessage::new_text(Role::User, offer.said(argument));
        Ok(GetPromptResult::new(vec![message]).with_description(offer.description).into())
    }
}

/// Makes the error of a request that has no result to say it in.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn protocol_error(error: AppError) -> ErrorData {
    let failure = crate::mcp::answer::for_agent(&error.failure);
    let text = told(&failure);
    if failure.code == "not_found" {
        return ErrorData::resource_not_found(text, None);
    }
    ErrorData::internal_error(text, None)
}
