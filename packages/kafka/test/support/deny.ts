/**
 * Takes an authorization away, by the admin client of kafkajs.
 */
import * as Effect from "effect/Effect"
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from "kafkajs"
import { withAdmin } from "./admin.js"

/** From now on the user may not read the group or topic of that name. */
export const denyReading = (brokers: string, user: string, resource: "GROUP" | "TOPIC", name: string) =>
  withAdmin(brokers, (admin) =>
    Effect.promise(() =>
      admin.createAcls({
        acl: [
          {
            resourceType: AclResourceTypes[resource],
            resourceName: name,
            resourcePatternType: ResourcePatternTypes.LITERAL,
            principal: `User:${user}`,
            host: "*",
            operation: AclOperationTypes.READ,
            permissionType: AclPermissionTypes.DENY
          }
        ]
      })
    )
  )
