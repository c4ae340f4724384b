#!/bin/sh
# python-igraph 1.0.0 (the newest in November 2026) gives edges the ids of nodes when it reads GraphML.
#
# GraphML lets a node and an edge have an `id` of its own. Read_GraphML keeps that of the nodes, and the attribute `id`
# that it makes for edges holds the nodes' ids, by rank: edge 0 has the id of node 0. What an edge is can only be told by
# a value (`<data>`) of it. Prints:
#     edges: ['a', 'b'] instead of ['first', 'second']; by value: ['first', 'second']
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check igraph==1.0.0
cat > "$folder/graph.graphml" <<'GRAPH'
<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="k" for="edge" attr.name="row" attr.type="string"/>
<graph edgedefault="directed"><node id="a"/><node id="b"/>
<edge id="first" source="a" target="b"><data key="k">first</data></edge>
<edge id="second" source="a" target="b"><data key="k">second</data></edge>
</graph></graphml>
GRAPH
"$folder/env/bin/python" - "$folder/graph.graphml" <<'PYTHON'
import sys
import igraph

edges = igraph.Graph.Read_GraphML(sys.argv[1]).es
print(f"edges: {edges['id']} instead of ['first', 'second']; by value: {edges['row']}")
assert edges["id"] == ["a", "b"], "igraph has changed: an edge has an id of its own now"
assert edges["row"] == ["first", "second"]
PYTHON
