-- Takes stamps out of histories, so that they count no more.
--
-- KEYS     the histories of some recipients, each key once
-- ARGV[1]  JSON: for each key the stamps
--
-- The answer is one text with a character for each stamp: 1 if it was there, 0 if not.

local wanted = cjson.decode(ARGV[1])
local answers = {}

local function take(stamps, stamp)
  for _, own in ipairs(stamps) do
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
  local last, kinds, stamps = read_history(redis.call('GET', key))
  local changed = false
  for _, stamp in ipairs(wanted[number]) do
    local found = take(stamps, stamp)
    changed = changed or found
    answers[#answers + 1] = found and '1' or '0'
  end
  if changed then
    redis.call('SET', key, packed_history(last, kinds, stamps, math.huge), 'KEEPTTL')
  end
end
return table.concat(answers)
