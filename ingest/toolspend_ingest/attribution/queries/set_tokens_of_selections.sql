-- One row per registry selection of a session whose tokens are others now.
update tool_selections
set
    offered_tokens = attributed_selections.offered_tokens,
    avoided_tokens = attributed_selections.avoided_tokens
from attributed_selections
where
    tool_selections.session_id = $session
    and tool_selections.trace_id = attributed_selections.trace_id
    and tool_selections.span_id = attributed_selections.span_id
