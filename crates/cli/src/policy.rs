//! `berth policy` and `berth adm policy`: who may do what.
mod binding;
mod modify;
mod subject;
mod who_can;

use clap::{Args, Subcommand};

use self::{
    modify::{Change, Grant, Scope},
    subject::{group, service_account, user},
};
use crate::{
    Environment, Output,
    connection::Connection,
    error::{Error, Result},
};

/// `berth policy`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Local,
    #[command(flatten)]
    connection: Connection,
}

/// `berth adm`.
#[derive(Debug, Args)]
pub struct Administration {
    #[command(subcommand)]
    command: Administrative,
}

#[derive(Debug, Subcommand)]
enum Administrative {
    /// Give and take rights, in a project or everywhere
    Policy {
        #[command(subcommand)]
        command: Everywhere,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Subcommand)]
enum Local {
    /// Give a role in the project to users or service accounts
    AddRoleToUser(Users),
    /// Take a role in the project from users or service accounts
    RemoveRoleFromUser(Users),
    /// Give a role in the project to groups
    AddRoleToGroup(Groups),
    /// Take a role in the project from groups
    RemoveRoleFromGroup(Groups),
    /// List who may do something in the project
    WhoCan(who_can::Arguments),
}

#[derive(Debug, Subcommand)]
enum Everywhere {
    /// Give a role in every project to users or service accounts
    AddClusterRoleToUser(ClusterUsers),
    /// Take a role in every project from users or service accounts
    RemoveClusterRoleFromUser(ClusterUsers),
    /// Give a role in every project to groups
    AddClusterRoleToGroup(ClusterGroups),
    /// Take a role in every project from groups
    RemoveClusterRoleFromGroup(ClusterGroups),
    #[command(flatten)]
    Local(Local),
}

#[derive(Debug, Args)]
struct Users {
    /// The role
    #[arg(value_name = "ROLE")]
    role: String,
    /// The users
    #[arg(value_name = "USER", required_unless_present = "service_account")]
    users: Vec<String>,
    /// A service account of the project; may be given several times
    #[arg(
        long = "serviceaccount",
        short = 'z',
        alias = "service-account",
        value_name = "NAME"
    )]
    service_account: Vec<String>,
    #[command(flatten)]
    binding: Binding,
}

#[derive(Debug, Args)]
struct Groups {
    /// The role
    #[arg(value_name = "ROLE")]
    role: String,
    /// The groups
    #[arg(value_name = "GROUP", required = true)]
    groups: Vec<String>,
    #[command(flatten)]
    binding: Binding,
}

#[derive(Debug, Args)]
struct Binding {
    /// The role binding to change, instead of any one of the role
    #[arg(long, value_name = "NAME")]
    rolebinding_name: Option<String>,
    /// The role is one of this project, not one of the cluster; it must be the project of the binding
    #[arg(long, value_name = "NAME")]
    role_namespace: Option<String>,
}

#[derive(Debug, Args)]
struct ClusterUsers {
    /// The role
    #[arg(value_name = "ROLE")]
    role: String,
    /// The users
    #[arg(value_name = "USER", required_unless_present = "service_account")]
    users: Vec<String>,
    /// A service account of the project; may be given several times
    #[arg(
        long = "serviceaccount",
        short = 'z',
        alias = "service-account",
        value_name = "NAME"
    )]
    service_account: Vec<String>,
    /// The cluster role binding to change, instead of any one of the role
    #[arg(long, value_name = "NAME")]
    rolebinding_name: Option<String>,
}

#[derive(Debug, Args)]
struct ClusterGroups {
    /// The role
    #[arg(value_name = "ROLE")]
    role: String,
    /// The groups
    #[arg(value_name = "GROUP", required = true)]
    groups: Vec<String>,
    /// The cluster role binding to change, instead of any one of the role
    #[arg(long, value_name = "NAME")]
    rolebinding_name: Option<String>,
}

/// Runs `berth policy`.
///
/// # Errors
/// What the server refuses.
pub async fn run(arguments: Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    in_project(arguments.command, &arguments.connection, environment, output).await
}

/// Runs `berth adm`.
///
/// # Errors
/// What the server refuses.
pub async fn administer(
    arguments: Administration,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<()> {
    let Administrative::Policy { command, connection } = arguments.command;
    let (change, role, who, name) = match command {
        Everywhere::Local(command) => return in_project(command, &connection, environment, output).await,
        Everywhere::AddClusterRoleToUser(to) => (
            Change::Add,
            to.role,
            Who::users(to.users, to.service_account),
            to.rolebinding_name,
        ),
        Everywhere::RemoveClusterRoleFromUser(from) => (
            Change::Remove,
            from.role,
            Who::users(from.users, from.service_account),
            from.rolebinding_name,
        ),
        Everywhere::AddClusterRoleToGroup(to) => {
            (Change::Add, to.role, Who::groups(to.groups), to.rolebinding_name)
        }
        Everywhere::RemoveClusterRoleFromGroup(from) => (
            Change::Remove,
            from.role,
            Who::groups(from.groups),
            from.rolebinding_name,
        ),
    };
    let session = connection.open(environment).await?;
    let grant = Grant {
        scope: Scope::Cluster,
        role,
        local_role: false,
        binding: name,
        targets: who.targets(),
        subjects: who.subjects(&session.namespace),
    };
    modify::run(&session.api, change, &grant, output).await
}

async fn in_project(
    command: Local,
    connection: &Connection,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<()> {
    let (change, role, who, binding) = match command {
        Local::WhoCan(arguments) => return who_can::run(&arguments, connection, environment, output).await,
        Local::AddRoleToUser(to) => (
            Change::Add,
            to.role,
            Who::users(to.users, to.service_account),
            to.binding,
        ),
        Local::RemoveRoleFromUser(from) => (
            Change::Remove,
            from.role,
            Who::users(from.users, from.service_account),
            from.binding,
        ),
        Local::AddRoleToGroup(to) => (Change::Add, to.role, Who::groups(to.groups), to.binding),
        Local::RemoveRoleFromGroup(from) => {
            (Change::Remove, from.role, Who::groups(from.groups), from.binding)
        }
    };
    let session = connection.open(environment).await?;
    if let Some(other) = binding
        .role_namespace
        .as_ref()
        .filter(|other| **other != session.namespace)
    {
        return Err(Error::Usage(format!(
            "role binding in namespace \"{}\" can't reference role in different namespace \"{other}\"",
            session.namespace
        )));
    }
    let grant = Grant {
        scope: Scope::Project(session.namespace.clone()),
        role,
        local_role: binding.role_namespace.is_some(),
        binding: binding.rolebinding_name,
        targets: who.targets(),
        subjects: who.subjects(&session.namespace),
    };
    modify::run(&session.api, change, &grant, output).await
}

/// Those whom a command names.
struct Who {
    users: Vec<String>,
    accounts: Vec<String>,
    groups: Vec<String>,
}

impl Who {
    fn users(users: Vec<String>, accounts: Vec<String>) -> Self {
        Self {
            users,
            accounts,
            groups: Vec::new(),
        }
    }

    fn groups(groups: Vec<String>) -> Self {
        Self {
            users: Vec::new(),
            accounts: Vec::new(),
            groups,
        }
    }

    /// As they were typed.
    fn targets(&self) -> Vec<String> {
        [&self.users, &self.accounts, &self.groups]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// As a role binding names them.
    fn subjects(&self, namespace: &str) -> Vec<serde_json::Value> {
        let users = self.users.iter().map(|name| user(name));
        let accounts = self.accounts.iter().map(|name| service_account(namespace, name));
        users
            .chain(accounts)
            .chain(self.groups.iter().map(|name| group(name)))
            .collect()
    }
}
