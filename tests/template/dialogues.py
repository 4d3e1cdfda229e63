"""The dialogues that every real template is rendered with."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather of a city, as "text" <b>&</b> numbers.',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "default": 3},
                "precise": {"type": "boolean"},
                "limit": {"type": "number", "minimum": 0.5, "maximum": 1e20},
                "tags": {"type": "array", "items": {"type": "string"}},
                "where": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}},
                    "required": ["lat"],
                },
            },
            "required": ["city"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "clock", "description": "The time.", "parameters": {"type": "object", "properties": {}}},
}


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return dict({"role": "assistant", "content": text}, **more)


def call(name, arguments, ident="call00001"):
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "now": "2024-07-26"}
LLAMA = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "now": "2025-02-03"}

USED = [system("You are a helpful assistant."), user("Weather in Paris and Zürich?")]
CALLED = USED + [
    assistant(
        "",
        tool_calls=[
            call(
                "get_weather",
                {
                    "city": "Zürich",
                    "days": 2,
                    "precise": True,
                    "limit": 1e-7,
                    "where": {"lat": 47.37, "lon": None},
                    "tags": ["a", '"b"'],
                },
            )
        ],
    ),
    {
        "role": "tool",
        "name": "get_weather",
        "tool_call_id": "call00001",
        "content": '{"temperature": 21.5, "text": "schön"}',
    },
]

DIALOGUES = {
    "one": dict(TOKENS, messages=[user("What is 2+2?")], add_generation_prompt=True),
    "system": dict(
        LLAMA, messages=[system("You are a helpful assistant."), user("What is 2+2?")], add_generation_prompt=True
    ),
    "turns": dict(
        TOKENS,
        messages=[system("You are a helpful assistant."), user("What is 2+2?"), assistant("4"), user("Times 3?")],
        add_generation_prompt=True,
    ),
    "no_prompt": dict(
        LLAMA,
        messages=[user("What is 2+2?"), assistant("4"), user("Times 3?"), assistant("12")],
        add_generation_prompt=False,
    ),
    "spaces": dict(
        TOKENS,
        messages=[system("  Be brief. \n"), user("\n\n hello \t"), assistant(" hi  "), user("  bye\r\n ")],
        add_generation_prompt=True,
    ),
    "unicode": dict(
        LLAMA,
        messages=[
            user("Grüße, 世界! 👋🏽 \u00a0e\u0301 \u2028 'quote' \"double\" \\back\\"),
            assistant("Здравствуй\u200b"),
            user("{{ messages }} {% if %} ${x} {# no #} <|im_end|> </s> [INST]"),
        ],
        add_generation_prompt=True,
    ),
    "thinking": dict(
        TOKENS,
        messages=[
            user("What is 2+2?"),
            assistant("<think>\nsum\n</think>\n\n4"),
            user("Times 3?"),
            assistant("<think>again</think>12", reasoning_content="multiply"),
            user("Minus 1?"),
        ],
        add_generation_prompt=True,
        enable_thinking=True,
    ),
    "no_thinking": dict(
        TOKENS,
        messages=[system("You think. /no_think"), user("What is 2+2?")],
        add_generation_prompt=True,
        enable_thinking=False,
        thinking=False,
    ),
    "tools": dict(LLAMA, messages=USED, tools=[WEATHER, CLOCK], add_generation_prompt=True),
    "tools_no_system": dict(TOKENS, messages=[user("What time is it?")], tools=[CLOCK], add_generation_prompt=True),
    "called": dict(LLAMA, messages=CALLED, tools=[WEATHER], add_generation_prompt=True),
    "answered": dict(
        TOKENS,
        messages=CALLED + [assistant("It is 21.5 degrees."), user("Thanks")],
        tools=[WEATHER, CLOCK],
        add_generation_prompt=False,
    ),
    "two_calls": dict(
        TOKENS,
        messages=[
            user("Both?"),
            assistant(
                None, tool_calls=[call("clock", {}, "abcdefghi"), call("get_weather", {"city": "Paris"}, "jklmnopqr")]
            ),
            {"role": "tool", "name": "clock", "tool_call_id": "abcdefghi", "content": "12:00"},
            {"role": "tool", "name": "get_weather", "tool_call_id": "jklmnopqr", "content": "sunny"},
        ],
        tools=[WEATHER, CLOCK],
        add_generation_prompt=True,
    ),
    "text_arguments": dict(
        LLAMA,
        messages=[
            user("Time?"),
            assistant("Let me see.", tool_calls=[call("clock", '{"zone": "UTC"}')]),
            {"role": "ipython", "content": "12:00"},
            assistant("Noon."),
            user("Thanks."),
        ],
        tools=[CLOCK],
        add_generation_prompt=True,
    ),
    "parts": dict(
        LLAMA,
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "A test."}]},
            user("And now?"),
        ],
        add_generation_prompt=True,
    ),
    "image": dict(
        LLAMA,
        messages=[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}],
        add_generation_prompt=True,
    ),
    "null": dict(
        TOKENS, messages=[user("Say nothing."), assistant(None), user("Again.")], add_generation_prompt=True
    ),
    "same_role": dict(
        TOKENS, messages=[user("a"), user("b"), assistant("c"), assistant("d")], add_generation_prompt=True
    ),
    "starts_wrong": dict(TOKENS, messages=[assistant("I begin."), user("No.")], add_generation_prompt=True),
    "developer": dict(
        LLAMA,
        messages=[{"role": "developer", "content": "Be exact."}, user("Hi"), {"role": "critic", "content": "Hm."}],
        add_generation_prompt=True,
    ),
    "empty": dict(TOKENS, messages=[], add_generation_prompt=True),
    "documents": dict(
        TOKENS,
        messages=[user("Who?")],
        documents=[{"title": "A", "text": "Ann did it."}, {"title": "B", "text": "Bob."}],
        add_generation_prompt=True,
        custom_tools=None,
        builtin_tools=["brave_search", "code_interpreter"],
        tools_in_user_message=False,
    ),
}
