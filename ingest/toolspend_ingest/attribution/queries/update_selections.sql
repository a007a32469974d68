-- One row per registry selection gets the tokens of what it offered and left out.
update tool_selections
set
    offered_tokens = attributed_selections.offered_tokens,
    avoided_tokens = attributed_selections.avoided_tokens
from attributed_selections
where tool_selections.rowid = attributed_selections.row_id
