//! What the demo tenant contains: people, groups, boards and their tasks. Only data.
//!
//! Days count from the day of seeding. In "BOS Operations", exactly six tasks of the Inbox are
//! overdue, each of them open and either nobody's or Rook's: the guides triage them.

/// Somebody of the company.
pub(crate) struct Person {
    /// The part of the principal name before the `@`.
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) display_name: &'static str,
    pub(crate) title: &'static str,
}

/// A group; its first member founded its plans.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) description: &'static str,
    pub(crate) members: &'static [&'static str],
}

/// A plan.
pub(crate) struct Board {
    pub(crate) title: &'static str,
    pub(crate) group: &'static str,
    pub(crate) buckets: &'static [&'static str],
    pub(crate) labels: &'static [&'static str],
    sections: &'static [fn() -> Vec<Task>],
}

impl Board {
    /// Returns the plan's tasks.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = Task> {
        self.sections.iter().flat_map(|section| section())
    }
}

/// A task and its details.
pub(crate) struct Task {
    pub(crate) bucket: &'static str,
    pub(crate) title: &'static str,
    pub(crate) creator: &'static str,
    /// How many days ago it was created.
    pub(crate) age: i64,
    pub(crate) assignees: &'static [&'static str],
    pub(crate) start: Option<i64>,
    pub(crate) due: Option<i64>,
    pub(crate) percent: i64,
    pub(crate) priority: i64,
    pub(crate) labels: &'static [u8],
    pub(crate) description: &'static str,
    /// Titles, and whether they are checked.
    pub(crate) checklist: &'static [(&'static str, bool)],
    /// Encoded addresses, with their text and type.
    pub(crate) references: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) done_by: Option<&'static str>,
}

/// A task of somebody's making, to be refined.
fn task(bucket: &'static str, creator: &'static str, age: i64, title: &'static str) -> Task {
    Task {
        bucket,
        title,
        creator,
        age,
        assignees: &[],
        start: None,
        due: None,
        percent: 0,
        priority: 5,
        labels: &[],
        description: "",
        checklist: &[],
        references: &[],
        done_by: None,
    }
}

impl Task {
    fn to(self, assignees: &'static [&'static str]) -> Self {
        Self { assignees, ..self }
    }

    fn due(self, day: i64) -> Self {
        Self { due: Some(day), ..self }
    }

    fn start(self, day: i64) -> Self {
        Self { start: Some(day), ..self }
    }

    fn half_done(self) -> Self {
        Self { percent: 50, ..self }
    }

    fn done_by(self, name: &'static str) -> Self {
        Self { done_by: Some(name), ..self }
    }

    fn priority(self, priority: i64) -> Self {
        Self { priority, ..self }
    }

    fn labels(self, labels: &'static [u8]) -> Self {
        Self { labels, ..self }
    }

    fn note(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    fn steps(self, checklist: &'static [(&'static str, bool)]) -> Self {
        Self { checklist, ..self }
    }

    fn links(self, references: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { references, ..self }
    }
}

pub(crate) const PEOPLE: &[Person] = &[
    Person {
        name: "rook",
        id: "4f6a2c1e-7b3d-4a58-9c0e-1d2b3f4a5c61",
        display_name: "Rook Tamatea",
        title: "Operations Lead",
    },
    Person {
        name: "victor",
        id: "a2d91b34-0c6e-4f17-8e25-6b7c8d9e0f12",
        display_name: "Victor Lindgren",
        title: "Managing Director",
    },
    Person {
        name: "mei",
        id: "c8e07f52-3a1b-4d69-b7f4-0a9b8c7d6e53",
        display_name: "Mei Tanaka",
        title: "Marketing Manager",
    },
    Person {
        name: "ana",
        id: "17b5d3e9-8f42-4c06-a1d8-5e4f3a2b1c94",
        display_name: "Ana Ferreira",
        title: "Head of Finance",
    },
    Person {
        name: "tomas",
        id: "e39c6a07-5d18-4b7f-92c3-8d7e6f5a4b25",
        display_name: "Tomás Herrera",
        title: "IT Engineer",
    },
    Person {
        name: "priya",
        id: "6d0f8b41-2e95-4a3c-8b16-3c2d1e0f9a76",
        display_name: "Priya Raman",
        title: "People Partner",
    },
];

pub(crate) const GROUPS: &[Group] = &[
    Group {
        name: "BOS",
        id: "b1f0a6d2-4c83-4e95-a7d1-2f3e4d5c6b70",
        description: "Everyone at BOS.",
        members: &["rook", "victor", "mei", "ana", "tomas", "priya"],
    },
    Group {
        name: "Website",
        id: "d5c27e81-96ab-4f30-8c4d-7a6b5c4d3e21",
        description: "The relaunch of our website.",
        members: &["mei", "rook", "tomas"],
    },
    Group {
        name: "Leadership",
        id: "90e4b7c3-1f5d-4a28-b6e9-4d3c2b1a0f98",
        description: "Budget and hiring.",
        members: &["victor", "ana", "priya"],
    },
];

pub(crate) const BOARDS: &[Board] = &[
    Board {
        title: "BOS Operations",
        group: "BOS",
        buckets: &["Inbox", "This Week", "In Progress", "Done"],
        labels: &["Operations", "Finance", "Marketing", "People", "IT", "Customers"],
        sections: &[inbox_overdue, inbox_later, this_week, in_progress, done],
    },
    Board {
        title: "Website Relaunch",
        group: "Website",
        buckets: &["Backlog", "Doing", "Live"],
        labels: &["Content", "Design", "Code"],
        sections: &[website],
    },
    Board {
        title: "Budget Round",
        group: "Leadership",
        buckets: &["Proposals", "Decided"],
        labels: &["Confidential"],
        sections: &[budget],
    },
];

fn inbox_overdue() -> Vec<Task> {
    let inbox = |creator, age, title| task("Inbox", creator, age, title);
    vec![
        inbox("ana", 16, "Renew the liability insurance")
            .due(-6)
            .priority(1)
            .labels(&[1, 2])
            .note("The broker needs our answer before the old policy ends.\r\nAsk for the option without the vehicle.")
            .links(&[(
                "https%3A//broker%2Eexample%2Ecom/policies/BOS-2291%2Epdf",
                "Current policy",
                "Pdf",
            )]),
        inbox("victor", 12, "Answer the auditor's questions")
            .to(&["rook"])
            .due(-3)
            .priority(3)
            .labels(&[2])
            .steps(&[
                ("List of open contracts", true),
                ("Signatures for the stock count", false),
                ("Access log of the archive room", false),
            ]),
        inbox("priya", 11, "Order desks for the two new colleagues")
            .due(-2)
            .labels(&[1, 4]),
        inbox("tomas", 10, "Replace the failing switch in the warehouse")
            .to(&["rook"])
            .due(-1)
            .priority(1)
            .labels(&[5]),
        inbox("mei", 9, "Book the room for the customer day").due(-4).labels(&[3, 6]),
        inbox("rook", 21, "Update the emergency contact list")
            .to(&["rook"])
            .due(-9)
            .priority(9)
            .labels(&[4])
            .note("Last checked a year ago."),
    ]
}

fn inbox_later() -> Vec<Task> {
    let inbox = |creator, age, title| task("Inbox", creator, age, title);
    vec![
        inbox("ana", 4, "Compare offers for the coffee machine lease")
            .due(12)
            .labels(&[1])
            .steps(&[("Offer from the present supplier", true), ("Offer from Kaffe & Co.", false)]),
        inbox("victor", 3, "Collect ideas for the summer party").to(&["priya"]).labels(&[4]),
        inbox("tomas", 3, "Label the spare laptops").to(&["tomas"]).due(9).priority(9).labels(&[5]),
        inbox("mei", 2, "Translate the brochure for Besançon").to(&["mei"]).due(15).labels(&[3]),
        inbox("rook", 1, "Ask the landlord about the loading ramp").labels(&[1]),
    ]
}

fn this_week() -> Vec<Task> {
    let week = |creator, age, title| task("This Week", creator, age, title);
    vec![
        week("rook", 9, "Prepare the quarterly stock count")
            .to(&["rook", "tomas"])
            .start(-2)
            .due(3)
            .priority(3)
            .half_done()
            .labels(&[1])
            .note("Shelves A to F first; the rest can wait for the second day.")
            .steps(&[
                ("Print the count sheets", true),
                ("Assign counters to shelves", true),
                ("Tell the carrier that we are closed", false),
                ("Charge the scanners", false),
            ]),
        week("ana", 8, "Send reminders for unpaid invoices")
            .to(&["ana"])
            .due(-1)
            .priority(3)
            .labels(&[2, 6]),
        week("mei", 8, "Approve the trade fair banner")
            .to(&["mei"])
            .due(-2)
            .half_done()
            .labels(&[3]),
        week("priya", 6, "Plan the first week of the new colleagues")
            .to(&["priya"])
            .due(2)
            .labels(&[4])
            .steps(&[("Buddy found", true), ("Tour of the warehouse", false), ("Lunch", false)]),
        week("tomas", 6, "Move the backup to the new storage")
            .to(&["tomas"])
            .due(4)
            .half_done()
            .priority(3)
            .labels(&[5])
            .links(&[(
                "https%3A//wiki%2Ebos%2Eexample/it/backup%23restore",
                "How to restore",
                "Other",
            )]),
        week("victor", 5, "Call back Halvorsen about the framework contract")
            .to(&["victor"])
            .due(1)
            .priority(1)
            .labels(&[6]),
        week("rook", 4, "Check the fire extinguishers").to(&["rook"]).due(5).labels(&[1]),
        week("ana", 3, "Reconcile the card statements").to(&["ana"]).due(4).labels(&[2]),
    ]
}

fn in_progress() -> Vec<Task> {
    let doing = |creator, age, title| task("In Progress", creator, age, title).half_done();
    vec![
        doing("rook", 20, "Negotiate the parcel rates")
            .to(&["rook", "ana"])
            .start(-12)
            .due(7)
            .priority(3)
            .labels(&[1, 2])
            .note("Target: five percent below the present rates."),
        doing("tomas", 18, "Roll out the password manager")
            .to(&["tomas"])
            .due(10)
            .labels(&[5])
            .steps(&[("Finance", true), ("Marketing", true), ("Warehouse", false)]),
        doing("mei", 14, "Write the customer survey").to(&["mei", "victor"]).due(8).labels(&[3, 6]),
        doing("priya", 13, "Revise the holiday rules").to(&["priya"]).labels(&[4]).links(&[(
            "https%3A//intranet%2Ebos%2Eexample/people/holiday-rules%2Edocx",
            "Draft",
            "Word",
        )]),
        doing("ana", 10, "Close the books of last month")
            .to(&["ana"])
            .due(2)
            .priority(1)
            .labels(&[2]),
    ]
}

fn done() -> Vec<Task> {
    let was = |creator, age, title| task("Done", creator, age, title);
    vec![
        was("rook", 30, "Repair the loading dock door")
            .to(&["rook"])
            .due(-14)
            .labels(&[1])
            .done_by("rook"),
        was("tomas", 28, "Install the meeting room screen")
            .to(&["tomas"])
            .labels(&[5])
            .done_by("tomas"),
        was("ana", 26, "File the VAT return")
            .to(&["ana"])
            .due(-11)
            .priority(1)
            .labels(&[2])
            .done_by("ana")
            .steps(&[("Figures checked", true), ("Sent", true)]),
        was("mei", 24, "Publish the case study with Nordlys")
            .to(&["mei"])
            .labels(&[3])
            .done_by("mei"),
        was("priya", 22, "Interview the warehouse candidates")
            .to(&["priya", "rook"])
            .due(-8)
            .labels(&[4])
            .done_by("priya"),
        was("victor", 18, "Sign the cleaning contract").labels(&[1]).done_by("victor"),
    ]
}

fn website() -> Vec<Task> {
    let backlog = |age, title| task("Backlog", "mei", age, title);
    let doing = |age, title| task("Doing", "mei", age, title).half_done();
    let live = |age, title| task("Live", "mei", age, title);
    vec![
        backlog(20, "Collect customer quotes").to(&["mei"]).due(14).labels(&[1]),
        backlog(19, "Choose photos for the team page").labels(&[1, 2]),
        backlog(18, "Redirect the old product pages").to(&["tomas"]).due(21).labels(&[3]),
        doing(16, "Write the delivery page").to(&["rook"]).due(5).labels(&[1]),
        doing(15, "Build the contact form")
            .to(&["tomas"])
            .due(3)
            .priority(3)
            .labels(&[3])
            .steps(&[("Fields", true), ("Spam protection", false), ("Confirmation mail", false)]),
        doing(12, "Design the start page").to(&["mei"]).due(-1).labels(&[2]),
        live(30, "Move the domain to the new host").to(&["tomas"]).labels(&[3]).done_by("tomas"),
        live(26, "Agree on the page structure").to(&["mei", "rook"]).labels(&[1]).done_by("mei"),
    ]
}

fn budget() -> Vec<Task> {
    vec![
        task("Proposals", "ana", 10, "Second delivery van").to(&["victor"]).due(20).labels(&[1]),
        task("Proposals", "priya", 9, "Training budget per head").to(&["priya"]).due(20),
        task("Decided", "victor", 25, "Freeze the travel budget").done_by("victor").labels(&[1]),
    ]
}
