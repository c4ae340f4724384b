#!/bin/sh
# networkx 3.6.1 (the newest in November 2026) draws a subgraph otherwise in each process, although the seed is fixed.
#
# spring_layout gives random places to the nodes by their order. A subgraph view whose nodes are few among many names them
# in the order of a Python set, whatever order they were asked for in, and for texts that order changes with
# PYTHONHASHSEED, which is another in each process. A graph that is built of the same nodes in their order is drawn alike.
# Prints:
#     subgraph view: 4 layouts in 4 processes; built in order: 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check networkx==3.6.1 numpy==2.4.6 scipy==1.17.1
cat > "$folder/draw.py" <<'PYTHON'
import networkx as nx

graph = nx.Graph((f"part {part}", f"{part}, {end}") for part in range(9) for end in range(5))
wanted = sorted(nx.node_connected_component(graph, "part 0"))
view = graph.subgraph(wanted)
built = nx.Graph()
built.add_nodes_from(wanted)
built.add_edges_from(view.edges)
for drawn in (view, built):
    places = nx.spring_layout(drawn, seed=1)
    print(sorted((node, *(round(float(at), 6) for at in place)) for node, place in places.items()))
PYTHON
for seed in 1 2 3 4; do
    PYTHONHASHSEED=$seed "$folder/env/bin/python" "$folder/draw.py" > "$folder/drawn.$seed"
    sed -n 1p "$folder/drawn.$seed" >> "$folder/view"
    sed -n 2p "$folder/drawn.$seed" >> "$folder/built"
done
view=$(sort -u "$folder/view" | wc -l)
built=$(sort -u "$folder/built" | wc -l)
echo "subgraph view: $view layouts in 4 processes; built in order: $built"
[ "$built" -eq 1 ] || { echo "a graph that is built in order is drawn otherwise in each process now, too" >&2; exit 1; }
[ "$view" -gt 1 ] || { echo "networkx has changed: a subgraph view keeps an order of its own" >&2; exit 1; }
