// Asks @cloud-copilot/iam-simulate what claviger decided: node compare.mjs QUESTIONS
//
// A line of QUESTIONS is a request with all policies that speak about it, and whether claviger allows
// it. What cannot be put to the other evaluator is counted. Where the two disagree there must be a
// reason among KNOWN, each with the place that says who is right; anything else is an error.
//
// The parts of the evaluation are called one by one, and not its front, which knows actions and keys by
// name and drops what it does not know.

import { readFileSync } from 'node:fs'
import { loadPolicy } from '@cloud-copilot/iam-policy'

const INSIDE = './node_modules/@cloud-copilot/iam-simulate/dist/esm/'
const engine = await import(INSIDE + 'core_engine/CoreSimulatorEngine.js')
const { DiscoveryContextKeyConstraints } = await import(INSIDE + 'context_keys/discoveryContextKeyConstraints.js')
const { AwsRequestImpl } = await import(INSIDE + 'request/request.js')
const { RequestContextImpl } = await import(INSIDE + 'requestContext.js')
const { DefaultServiceAuthorizer } = await import(INSIDE + 'services/DefaultServiceAuthorizer.js')
const { KmsServiceAuthorizer } = await import(INSIDE + 'services/KmsServiceAuthorizer.js')
const { StsServiceAuthorizer } = await import(INSIDE + 'services/StsServiceAuthorizer.js')

const PLAIN = { simulationMode: 'Strict', discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]) }
const EVERYTHING = { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }

const many = (value) => (value === undefined || value === null ? [] : [].concat(value))
const hasAccount = (asked) => asked.principal.account !== ''

/** Every policy of a question. */
function policies(asked) {
  const listed = asked.guardrails.flatMap((guardrail) => guardrail.policies)
  return [asked.resource_policy, asked.boundary, ...asked.identity, ...many(asked.session), ...listed]
    .filter((policy) => policy)
}

const statements = (policy) => many(policy?.Statement)
const allStatements = (asked) => policies(asked).flatMap(statements)

/** The key in lower case, with its values: names that differ in case are one. */
function facts(asked) {
  const all = {}
  for (const [key, values] of Object.entries(asked.facts)) {
    all[key.toLowerCase()] = [...(all[key.toLowerCase()] ?? []), ...values]
  }
  return Object.fromEntries(Object.entries(all).filter(([, values]) => values.length > 0))
}

/** Each operator on each key in each statement. */
function* conditions(asked) {
  const found = facts(asked)
  for (const statement of allStatements(asked)) {
    for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
      for (const [key, wanted] of Object.entries(keys)) {
        yield { operator, wanted: many(wanted).map(String), found: found[key.toLowerCase()] ?? [] }
      }
    }
  }
}

const anyCondition = (asked, test) => [...conditions(asked)].some(test)
const operands = ({ wanted, found }) => [...wanted, ...found]

/** The names of principals in Principal and NotPrincipal elements of a policy. */
const principals = (policy, element) =>
  statements(policy).flatMap((statement) =>
    statement[element] === '*' ? ['*'] : Object.values(statement[element] ?? {}).flat())

/** Texts with variables: resources, and values of conditions. */
function withVariables(asked) {
  const texts = allStatements(asked).flatMap((statement) =>
    [...many(statement.Resource), ...many(statement.NotResource)])
  for (const { wanted } of conditions(asked)) texts.push(...wanted)
  return texts.filter((text) => /\$\{[^*?$]/.test(text))
}

/** Why it cannot be asked, if it cannot. */
function inexpressible(asked) {
  const { principal } = asked
  if (asked.grant) return 'grants'
  if (asked.rule === 'KeyPolicy' && asked.trust && !asked.resource_policy) return 'a role without a trust policy'
  if (asked.rule === 'KeyPolicy' && !asked.trust && !asked.resource.includes(':key/')) return 'a key policy on no key'
  if (asked.rule === 'None' && asked.resource_policy) return 'a resource policy where there is none'
  if (asked.guardrails.some((guardrail) => guardrail.policies.length === 0)) return 'an empty guardrail'
  if (allStatements(asked).some((statement) => !statement.Effect || 'Conditions' in statement)) return 'policies that are broken'
  if (allStatements(asked).some((statement) => !statement.Action && !statement.NotAction)) return 'statements without Action, which KMS ignores'
  const own = asked.identity.length || asked.boundary || asked.session
  if (!hasAccount(asked) && own) return 'policies of nobody'
  if (principal.kind === 'Root' && asked.boundary) return 'a boundary of the root'
  return undefined
}

/** What the other evaluator says. */
function ask(asked) {
  const { principal } = asked
  const name = { Anonymous: { type: 'Anonymous' }, Federated: principal.issuer }[principal.kind] ?? principal.arn
  const load = (policy) => loadPolicy(policy, { name: 'policy' })
  const context = Object.fromEntries(
    Object.entries(facts(asked)).map(([key, values]) => [key, values.length === 1 ? values[0] : values]))
  const resource = { resource: asked.resource, accountId: asked.owner }
  const request = new AwsRequestImpl(name, resource, asked.action, new RequestContextImpl(context), asked.resource === '*')
  // It does not know that the root needs no policy.
  const identity = principal.kind === 'Root' ? [...asked.identity, EVERYTHING] : asked.identity
  const levels = (kind) => asked.guardrails.filter((guardrail) => guardrail.kind === kind)
    .map((guardrail, at) => ({ orgIdentifier: String(at), policies: guardrail.policies.map(load) }))
  const endpoints = asked.guardrails.filter((guardrail) => guardrail.kind === 'Endpoint').flatMap((g) => g.policies)
  const resourcePolicy = asked.resource_policy ? load(asked.resource_policy) : undefined
  const boundaries = asked.boundary ? [load(asked.boundary)] : undefined
  const rules = { None: DefaultServiceAuthorizer, Ordinary: DefaultServiceAuthorizer, KeyPolicy: asked.trust ? StsServiceAuthorizer : KmsServiceAuthorizer }
  const authorizer = new rules[asked.rule]()
  const answer = authorizer.authorize({
    request,
    sessionAnalysis: asked.session ? engine.analyzeIdentityPolicies(asked.session.map(load), request, PLAIN, 'session') : undefined,
    identityAnalysis: engine.analyzeIdentityPolicies(identity.map(load), request, PLAIN, 'identity'),
    scpAnalysis: engine.analyzeControlPolicies(levels('ServiceControl'), request, PLAIN, 'scp'),
    rcpAnalysis: engine.analyzeControlPolicies(levels('ResourceControl'), request, PLAIN, 'rcp'),
    resourceAnalysis: engine.analyzeResourcePolicy(resourcePolicy, request, !!boundaries, PLAIN),
    resourcePolicy,
    permissionBoundaryAnalysis: engine.analyzePermissionBoundaryPolicies(boundaries, request, PLAIN),
    endpointAnalysis: engine.analyzeVpcEndpointPolicies(endpoints.map(load), request, PLAIN),
    simulationParameters: PLAIN,
    serviceSettings: {}
  })
  return answer.result === 'Allowed'
}

const named = (asked, element, test) => principals(asked.resource_policy, element).some(test)
const unset = (asked) => {
  const found = facts(asked)
  return withVariables(asked).some((text) =>
    [...text.matchAll(/\$\{([^*?$}][^,}]*)(,[^}]*)?\}/g)].some(([, name, given]) =>
      !given && (found[name.trim().toLowerCase()] ?? []).length !== 1))
}

/** What the two do differently: the question has it, and why claviger does as it does. */
const KNOWN = [
  ['several values without a set operator: it refuses, AWS\'s guide does not say',
    (asked) => anyCondition(asked, ({ operator, found }) => found.length > 1 && !operator.includes(':'))],
  ['variables without a value under negated operators: it lets them fail; IAM User Guide, "Policy variables with no value", lets them match',
    (asked) => unset(asked)],
  ['variables in documents of version 2008-10-17: it replaces them; IAM User Guide, "Version", does not',
    (asked) => policies(asked).some((policy) => policy.Version !== '2012-10-17') && withVariables(asked).length > 0],
  ['variables with an empty value: it takes them for absent',
    (asked) => withVariables(asked).length > 0 && Object.values(facts(asked)).some((values) => values.length === 1 && values[0] === '')],
  ['ForAnyValue with IfExists and no key: it is false there; IAM User Guide, "...IfExists", makes every absent key true',
    (asked) => anyCondition(asked, ({ operator, found }) => operator.startsWith('ForAnyValue') && operator.endsWith('IfExists') && !found.length)],
  ['dates: seconds since 1970 are milliseconds to it, 30 February is a date, what is no date fails a negated operator',
    (asked) => anyCondition(asked, (c) => c.operator.includes('Date') && operands(c).some((text) => !/^\d{4}-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?$/.test(text) || text.includes('02-30')))],
  ['numbers: it reads as many digits as there are ("1e1" is 1), and what is no number fails a negated operator',
    (asked) => anyCondition(asked, (c) => c.operator.includes('Numeric') && operands(c).some((text) => !/^-?\d+(\.\d+)?$/.test(text)))],
  ['binary values: it compares texts, base64 or not',
    (asked) => anyCondition(asked, (c) => c.operator.includes('Binary') && operands(c).some((text) => text.length % 4 !== 0 || !text.length || text.endsWith('=')))],
  ['addresses: it does not see IPv4 in IPv6, and what is no address fails a negated operator',
    (asked) => anyCondition(asked, (c) => c.operator.includes('IpAddress') && operands(c).some((text) => text.startsWith('::ffff:') || !/^(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]*)(\/\d+)?$/.test(text)))],
  ['addresses: a network of all addresses, 0.0.0.0/0, shifts by 32 bits in JavaScript and is one address to it',
    (asked) => anyCondition(asked, (c) => c.operator.includes('IpAddress') && c.wanted.some((text) => text.endsWith('/0')))],
  ['ARNs: "*" is no ARN to it, and what is no ARN fails a negated operator',
    (asked) => anyCondition(asked, (c) => c.operator.includes('Arn') && operands(c).some((text) => text.split(':').length < 6))],
  ['a session policy limits what a resource policy gives the session itself; IAM User Guide, "Session policies", says it does not',
    (asked) => asked.session && named(asked, 'Principal', (text) => text === asked.principal.arn || text === asked.principal.unique_id)],
  ['NotPrincipal spares whoever is listed at any level; IAM User Guide, "NotPrincipal", asks for the account too',
    (asked) => [asked.resource_policy, ...asked.guardrails.flatMap((g) => g.policies)].some((policy) => principals(policy, 'NotPrincipal').length)],
  ['unique ids: it does not know them',
    (asked) => named(asked, 'Principal', (text) => /^A(IDA|ROA)/.test(text))],
  ['roles: it compares their names, not their paths',
    (asked) => asked.principal.kind === 'AssumedRole' && named(asked, 'Principal', (text) => text.includes(':role/'))],
  ['federated users: it takes their name for that of their user',
    (asked) => asked.principal.kind === 'FederatedUser' && named(asked, 'Principal', (text) => text.includes(':user/'))],
  ['everyone, in the owner\'s account: no boundary limits that there; IAM User Guide, "Permissions boundaries", says so of ARNs only',
    (asked) => asked.boundary && named(asked, 'Principal', (text) => text === '*')],
  ['guardrails: it takes no notice of their principals',
    (asked) => asked.guardrails.some((g) => g.policies.some((policy) => principals(policy, 'Principal').some((text) => text !== '*')))],
  ['statements without Resource: KMS ignores them (KMS Developer Guide, "Key policies"), it does not',
    (asked) => !asked.trust && statements(asked.resource_policy).some((s) => !s.Resource && !s.NotResource)],
  ['a resource that is all resources, where an action has none: it asks for a literal "*"',
    (asked) => asked.resource === '*'],
  ['variables before the fifth colon of a resource: it leaves them as text; the guide says to have none there, and claviger replaces them',
    (asked) => withVariables(asked).some((text) => /^arn(:[^:]*){1,3}:[^:]*\$\{/.test(text))],
  ['a wildcard for the service beside a name, "*:Describe*": it matches nothing there',
    (asked) => allStatements(asked).some((s) => [...many(s.Action), ...many(s.NotAction)].some((text) => /^\*:./.test(text)))],
]

const counts = { agreed: 0, plain: 0 }
const unasked = {}
const differences = new Map(KNOWN.map(([reason]) => [reason, 0]))
const wrong = []
for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\n')) {
  const asked = JSON.parse(line)
  const reason = inexpressible(asked)
  if (reason) {
    unasked[reason] = (unasked[reason] ?? 0) + 1
    continue
  }
  const known = KNOWN.filter(([, test]) => test(asked))
  if (ask(asked) === asked.allowed) {
    counts.agreed += 1
    counts.plain += known.length === 0 ? 1 : 0
  } else if (known.length > 0) {
    for (const [reason] of known) differences.set(reason, differences.get(reason) + 1)
  } else {
    wrong.push(asked)
  }
}
console.log(JSON.stringify({ ...counts, wrong: wrong.length, unasked, differences: Object.fromEntries(differences) }, null, 1))
for (const asked of wrong.slice(0, 3)) console.error(JSON.stringify(asked, null, 1))
// A reason that nothing needs any more hides the next mistake.
const stale = [...differences].filter(([, count]) => count === 0).map(([reason]) => reason)
for (const reason of stale) console.error(`no longer different: ${reason}`)
process.exit(wrong.length || stale.length ? 1 : 0)
