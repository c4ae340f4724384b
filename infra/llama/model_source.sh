# What model.sh does to bring the files of a model into its folder. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # its variables are those of model.sh

hub() {
    "$convert_env/bin/python" "$here/hub.py" "$@" 9>&-
}

# Writes $work/source.json: the files of the model with size and hash, and the commit that they are of.
list_source() {
    if is_local; then
        python3 "$here/model_files.py" list "$model" >"$work/source.json"
    else
        hub list "$model" "$(wanted_revision)" >"$work/source.json"
    fi
}

wanted_revision() {
    local known
    known=${revision:-$(recorded revision)}
    if [[ -z $known && $model == "$DEFAULT_MODEL" ]]; then
        known=$DEFAULT_REVISION
    fi
    say "$known"
}

fetch() {
    say "Fetching $model …"
    mkdir -p "$folder"
    # What was made of other files is not to be trusted any more; the commit stays, if this fetch ends half-way.
    record --forget '*' --set "name=$name" --set "source.model=$(identity)" --set "source.asked=$revision" \
        --set "source.revision=$(python3 "$here/manifest.py" get "$work/source.json" revision)"
    f16_whole=false quantised_whole=false
    if is_local; then
        link_files
    else
        hub fetch "$work/source.json" "$folder"
    fi
    python3 "$here/model_files.py" check "$folder"
    # Where the guide has it. Models other than Llama's kind have a tokenizer.json only.
    [[ ! -f $folder/tokenizer.model ]] || link_or_copy "$folder/tokenizer.model" "$models/tokenizer.model"
    write_chat_template
    local files
    mapfile -t files < <(python3 "$here/model_files.py" names "$work/source.json")
    [[ ! -f $folder/chat-template.jinja ]] || files+=(chat-template.jinja)
    record "${files[@]}"
}

link_files() {
    local file
    [[ ! $model -ef $folder ]] || return 0
    while read -r file; do
        link_or_copy "$model/$file" "$folder/$file"
    done < <(python3 "$here/model_files.py" names "$work/source.json")
}

# A hard link where the file system can: the files are only read, and those of a 7B model take 13.5 GB.
link_or_copy() {
    ln -f "$1" "$2" 2>/dev/null || cp --preserve=timestamps "$1" "$2"
}

# The GGUF of Atom carries no template, and a server without one uses another model's.
write_chat_template() {
    [[ ${name,,} != atom-* ]] || cp "$here/atom-chat-template.jinja" "$folder/chat-template.jinja"
}
