-- One row per model of the prompts, by its number.
select any_value(model) as model
from attributed_prompts
group by model_code
order by model_code
