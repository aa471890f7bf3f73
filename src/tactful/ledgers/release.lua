-- Takes stamps out of histories, so that they count no more.
--
-- KEYS     the histories of some recipients, each key once
-- ARGV[1]  JSON: for each key the stamps
--
-- The answer is one text with a character for each stamp: 1 if it was there, 0 if not.

local wanted = cjson.decode(ARGV[1])
local answers = {}

local function take(history, stamp)
  for i = 3, #history, 2 do
    local own = history[i]
    for place, other in ipairs(own) do
      if other == stamp then
        table.remove(own, place)
        return true
      end
    end
  end
  return false
end

for number, key in ipairs(KEYS) do
  local history = read_history(redis.call('GET', key))
  local changed = false
  for _, stamp in ipairs(wanted[number]) do
    local found = take(history, stamp)
    changed = changed or found
    answers[#answers + 1] = found and '1' or '0'
  end
  if changed then
    redis.call('SET', key, packed_history(history, math.huge), 'KEEPTTL')
  end
end
return table.concat(answers)
